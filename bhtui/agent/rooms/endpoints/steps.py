"""The kinds of steps of this room, do and undo side by side. Each may run again after a crash of the agent."""

from __future__ import annotations

from bhtui.agent.journal.model import Call, Done, NoUndo, Outcome, RetryAfter, StepKind, WaitFor
from bhtui.core.errors import BlackholeError

from .room import EndpointsRoom

SECOND = 1_000_000_000
LOOK_AGAIN = 0.5
REMEDY = "correct that, or `blackhole stop` it, which waits for nobody"
NOT_TOLD = f"others were not told in time; {REMEDY}"


def kinds(room: EndpointsRoom) -> list[StepKind]:
    """What the journal is given."""
    s = _Steps(room)
    return [
        StepKind("endpoints.drain", s.drain, s.undrain, s.undrain, timeout_reason=NOT_TOLD),
        StepKind("endpoints.tell", s.tell, NoUndo("others are told by themselves when what is ready changes again")),
    ]


class _Steps:
    def __init__(self, room: EndpointsRoom) -> None:
        self._room = room

    async def drain(self, call: Call) -> Outcome:
        """Takes an instance out of the endpoints; done when others were told and had time to end what is under way."""
        i = self._room.instance(call.target)
        if i is None:
            return Done(detail="it is reached by nobody")
        self._room.leave(i)
        if trouble := self._room.given_up(i.service):
            raise BlackholeError(f"{trouble}; {REMEDY}")
        if reason := self._room.waits_for(i.service):
            # An attempt that fails as the one before is no event.
            return RetryAfter(LOOK_AGAIN, reason) if self._room.untold(i.service) else WaitFor(reason, about=i.service)
        now = self._room.clock()
        since = call.learned.get("out_ns", now)
        left = i.spec.endpoints.drain - max(0, now - since) / SECOND
        if left > 0:
            return RetryAfter(left, "what is under way to end", {"out_ns": since})
        return Done({"out_ns": since}, "out of the endpoints")

    async def tell(self, call: Call) -> Outcome:
        """Done when others know all instances of a service that are ready."""
        service = call.target
        self._room.look()
        if trouble := self._room.given_up(service):
            raise BlackholeError(f"{trouble}; correct that, and scale it again")
        if reason := self._room.waits_for(service):
            return RetryAfter(LOOK_AGAIN, reason) if self._room.untold(service) else WaitFor(reason, about=service)
        return Done()

    async def undrain(self, call: Call) -> Outcome:
        """It is an endpoint again, if it still runs. Also when its operation ends and has not stopped it."""
        self._room.stay(call.target)
        return Done()
