"""The thread governor, on an invented clock and machine."""

from __future__ import annotations

from verifiers.training.threads import Governor, read_idle


class Machine:
    """Two cores, of which another process takes one when `busy`."""

    def __init__(self):
        self.busy, self.now, self.threads = True, 0.0, 0
        self.idle_ticks = self.all_ticks = 0.0

    def step(self, governor):
        speed = 1_000 if self.threads == 1 else (300 if self.busy else 1_800)
        seconds = 1_000 / speed
        self.now += seconds
        self.all_ticks += 2 * seconds
        self.idle_ticks += seconds * (2 - self.threads - self.busy if not self.busy else 0)
        governor.after_step(1_000)

    def governor(self, idle=None):
        return Governor(
            2,
            apply=lambda n: setattr(self, "threads", n),
            clock=lambda: self.now,
            idle=idle or (lambda: (self.idle_ticks, self.all_ticks)),
        )


def test_all_threads_while_idle_and_one_while_busy():
    """Two threads when the other core is free; one again, soon, when it is not."""
    machine = Machine()
    governor = machine.governor()
    for _ in range(20):
        machine.step(governor)
    assert machine.threads == 1
    machine.busy = False
    for _ in range(20):
        machine.step(governor)
    assert machine.threads == 2
    machine.busy = True
    for _ in range(20):
        machine.step(governor)
    assert machine.threads == 1


def test_where_nobody_says_what_is_idle_one_thread_stays():
    """Without the figures of the system it does not guess."""
    machine = Machine()
    machine.busy = False
    governor = machine.governor(idle=lambda: None)
    for _ in range(30):
        machine.step(governor)
    assert machine.threads == 1


def test_reading_the_machine_s_ticks(tmp_path):
    """Idle counts waiting for disks as well; a system without the file gives None."""
    stat = tmp_path / "stat"
    stat.write_text("cpu  10 20 30 40 5 6 7 8 0 0\ncpu0 1 2 3 4\n")
    assert read_idle(stat) == (45.0, 126.0)
    assert read_idle(tmp_path / "none") is None
