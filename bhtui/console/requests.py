"""What actions ask hosts for, made from what is selected: names of services, or ids."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from bhtui.core.replica import MOST
from bhtui.rpc.blackhole.v1 import operations_pb2 as pb

Request = Callable[[Sequence[str]], pb.OperationRequest]


def resume(ids: Sequence[str]) -> pb.OperationRequest:
    return pb.OperationRequest(resume=pb.ResumeRequest(operation=ids[0]))


def roll_back(ids: Sequence[str]) -> pb.OperationRequest:
    return pb.OperationRequest(roll_back=pb.RollBackRequest(operation=ids[0]))


def back_up(kind: str) -> Request:
    return lambda services: pb.OperationRequest(create_backup=pb.CreateBackupRequest(services=services, type=kind))


def restore_newest(services: Sequence[str]) -> pb.OperationRequest:
    return pb.OperationRequest(restore_backup=pb.RestoreBackupRequest(services=services))


def restore(ids: Sequence[str]) -> pb.OperationRequest:
    return pb.OperationRequest(restore_backup=pb.RestoreBackupRequest(snapshot=ids[0]))


def drill_newest(services: Sequence[str]) -> pb.OperationRequest:
    return pb.OperationRequest(drill_backups=pb.DrillBackupsRequest(services=services))


def drill(ids: Sequence[str]) -> pb.OperationRequest:
    return pb.OperationRequest(drill_backups=pb.DrillBackupsRequest(snapshot=ids[0]))


def verify(ids: Sequence[str]) -> pb.OperationRequest:
    return pb.OperationRequest(verify_backups=pb.VerifyBackupsRequest(snapshots=ids, read_data=True))


def forget(ids: Sequence[str]) -> pb.OperationRequest:
    return pb.OperationRequest(forget_backups=pb.ForgetBackupsRequest(snapshots=ids))


def start(services: Sequence[str]) -> pb.OperationRequest:
    return pb.OperationRequest(start=pb.StartRequest(services=services))


def stop(services: Sequence[str]) -> pb.OperationRequest:
    return pb.OperationRequest(stop=pb.StopRequest(services=services))


def restart(services: Sequence[str]) -> pb.OperationRequest:
    return pb.OperationRequest(restart=pb.RestartRequest(services=services))


def adopt(targets: Sequence[str]) -> pb.OperationRequest:
    return pb.OperationRequest(adopt=pb.AdoptRequest(target="".join(targets[:1])))


def rolling(services: Sequence[str]) -> pb.OperationRequest:
    return pb.OperationRequest(restart=pb.RestartRequest(services=services, rolling=True))


def reset_scale(services: Sequence[str]) -> pb.OperationRequest:
    return pb.OperationRequest(scale=pb.ScaleRequest(services=services))


def auto_scale(**values: Any) -> Request:
    return lambda services: pb.OperationRequest(auto_scale=pb.AutoScaleRequest(services=services, **values))


BY_LOAD: Mapping[str, Request] = {"auto": auto_scale(auto=True), "no-auto": auto_scale(auto=False)}


def scale_to(text: str) -> Request:
    """For a number, `1..5` or `auto` (by the load), `no-auto`, or `reset`."""
    if text == "reset":
        return reset_scale
    if text in BY_LOAD:
        return BY_LOAD[text]
    least, dots, most = (part.strip() for part in text.partition(".."))
    if dots and all(part.isascii() and part.isdigit() and 1 <= int(part[:9]) <= MOST for part in (least, most)):
        return auto_scale(auto=True, min=int(least), max=int(most))
    if not text.isascii() or not text.isdigit() or int(text[:9]) > MOST:
        raise ValueError(
            f"type a number from 0 to {MOST}, 1..5 or auto to follow the load, no-auto, or reset for what is declared"
        )
    return lambda services: pb.OperationRequest(scale=pb.ScaleRequest(services=services, replicas=int(text)))
