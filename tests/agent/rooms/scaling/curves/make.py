"""Made the curves of this folder, once, but for `host.txt`, which is the load of a machine that ran tests, as measured.

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
    write("spike", "Calm, with spikes of 20 s, 60 s and 300 s", 10, 7200,
          lambda t: 380 if 600 <= t < 620 or 2400 <= t < 2460 or 4800 <= t < 5100 else 45)  # fmt: skip
    write("sawtooth", "Rises from 20 to 320 in 30 min, falls at once", 30, 14400, lambda t: 20 + (t % 1800) / 6)
    write("noise", "Around the threshold of one instance", 10, 14400, lambda t: 80 + noise(0, 12))
    write("step", "From 40 to 330 after 10 min, and back after 70 min", 10, 10800,
          lambda t: 330 if 600 <= t < 4200 else 40)  # fmt: skip
    write("leak", "Hardly any load; it is memory that grows", 60, 43200, lambda t: 12 + noise(0, 2))
    for name, cycle in (("swing-600", 600), ("swing-720", 720), ("swing-1300", 1300)):
        write(name, f"Heavy and light in turn, {cycle} s from one beginning to the next", cycle // 2, 21600,
              lambda t, cycle=cycle: 150 if t % cycle < cycle / 2 else 20)  # fmt: skip


if __name__ == "__main__":
    main()
