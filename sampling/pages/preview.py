"""A preview of the next batch, ready to be drawn: histograms as columns, shares as rows."""

from dataclasses import dataclass

from sampling.services.preview import Preview

_CHANCES = ("under a tenth", "up to as likely", "1 to 10 times", "10 to 100 times", "over 100 times")


@dataclass(frozen=True)
class Step:
    """One step of informativeness: a column for the pool and one beside it for the batch, in percent of the drawing."""

    pool_x: float
    batch_x: float
    width: float
    pool_height: float
    batch_height: float
    title: str

    @property
    def pool_y(self) -> float:
        return round(100.0 - self.pool_height, 2)

    @property
    def batch_y(self) -> float:
        return round(100.0 - self.batch_height, 2)


@dataclass(frozen=True)
class ShownPreview:
    said: Preview
    steps: list[Step]
    chances: list[tuple[str, int]]


def shown(said: Preview) -> ShownPreview:
    pool, batch = _relative(said.pool_histogram), _relative(said.batch_histogram)
    width = 100.0 / len(pool)
    steps = [
        Step(
            pool_x=round(place * width + width * 0.1, 2),
            batch_x=round(place * width + width * 0.5, 2),
            width=round(width * 0.4, 2),
            pool_height=round(100 * pool[place], 2),
            batch_height=round(100 * batch[place], 2),
            title=f"{place / len(pool):.2f} to {(place + 1) / len(pool):.2f}: {said.pool_histogram[place]:,} in the pool, "
            f"{said.batch_histogram[place]:,} in the batch",
        )
        for place in range(len(pool))
    ]
    return ShownPreview(said, steps, list(zip(_CHANCES, said.chances, strict=True)))


def _relative(counts: list[int]) -> list[float]:
    most = max(*counts, 1)
    return [count / most for count in counts]
