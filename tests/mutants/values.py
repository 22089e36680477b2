"""What a planted fault is."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Mutant:
    """A fault: `sound` stands once in `file`, `planted` goes in its place, `tests` must fail.

    `name` says what is wrong with the code then, in a few words.
    """

    name: str
    file: str
    sound: str
    planted: str
    tests: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.file}: {self.name}"


def planted_in(
    file: str, tests: tuple[str, ...], *faults: tuple[str, str, str]
) -> tuple[Mutant, ...]:
    """Faults of one file, which the same tests must notice: (name, sound, planted) each."""
    return tuple(Mutant(name, file, sound, planted, tests) for name, sound, planted in faults)
