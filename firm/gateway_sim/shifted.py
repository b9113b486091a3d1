"""A tape moved in time, so that recorded days can be replayed as if they were happening now. Pure."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import overload

from firm.domain.session import Sessions
from firm.tape.tape import Frame, Tape


class ShiftedFrames(Sequence[Frame]):
    """The frames of a tape, `by` ns later."""

    def __init__(self, frames: Sequence[Frame], by: int) -> None:
        self._frames, self._by = frames, by

    def __len__(self) -> int:
        return len(self._frames)

    @overload
    def __getitem__(self, index: int) -> Frame: ...
    @overload
    def __getitem__(self, index: slice) -> list[Frame]: ...
    def __getitem__(self, index: int | slice) -> Frame | list[Frame]:
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        frame = self._frames[index]
        return frame._replace(at=frame.at + self._by)

    def __iter__(self) -> Iterator[Frame]:
        return (self[i] for i in range(len(self)))


def shifted(tape: Tape, first_at: int) -> Tape:
    """`tape` with everything moved so that its first frame is at `first_at` (ns UTC); the label says so."""
    by = first_at - tape.frames[0].at
    return replace(
        tape,
        sessions=Sessions(
            tuple(at + by for at in tape.sessions.opens), tuple(at + by for at in tape.sessions.closes)
        ),
        label=f"{tape.label}; replayed {by} ns later than recorded",
        history_times=tape.history_times + by,
        frames=ShiftedFrames(tape.frames, by),
    )
