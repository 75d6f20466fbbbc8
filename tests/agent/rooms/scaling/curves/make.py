"""Made the curves of this folder that nobody could record: of two days, of noise at the threshold for hours, and in
step with the cool-down. `host.txt` is the load of a machine that ran tests; the rest was recorded by record.py.

    python -m tests.agent.rooms.scaling.curves.make

A value is per cent of what one instance can do. The noise is drawn with a fixed seed.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from pathlib import Path

HERE = Path(__file__).parent


def write(name: str, said: str, step: int, seconds: int, load: Callable[[float], float]) -> None:
    values = [f"{max(0.0, load(t)):.1f}" for t in range(0, seconds, step)]
    (HERE / f"{name}.txt").write_text("\n".join([f"# {said}", f"step {step}", *values]) + "\n")


def main() -> None:
    noise = random.Random(20260301).gauss
    write(
        "day", "Two days of a web service: quiet nights, a peak before noon and one in the evening, noise", 300, 172800,
        lambda t: 40 + 150 * max(0, math.sin((t / 86400 - 0.25) * 2 * math.pi)) ** 2
        + 140 * math.exp(-(((t % 86400) / 3600 - 20) ** 2) / 3) + noise(0, 8),
    )  # fmt: skip
    write("noise", "Around the threshold of one instance", 10, 14400, lambda t: 80 + noise(0, 12))
    for name, cycle in (("swing-600", 600), ("swing-720", 720), ("swing-1300", 1300)):
        write(name, f"Heavy and light in turn, {cycle} s from one beginning to the next", cycle // 2, 21600,
              lambda t, cycle=cycle: 150 if t % cycle < cycle / 2 else 20)  # fmt: skip


if __name__ == "__main__":
    main()
