import pytest

from training.trainers import registry
from training.trainers.port import Payload, TrainerError


def test_the_key_most_payloads_have_decides() -> None:
    rows: list[Payload] = [{"features": [1.0]}, {"features": [1.0], "text": "x"}, {"pixels": []}]
    assert registry.choose(rows).name == "numeric"


def test_text_wins_over_features_when_every_payload_has_both() -> None:
    assert registry.choose([{"features": [1.0], "text": "x"}]).name == "text"


@pytest.mark.parametrize("rows", [[], [{"pixels": [[1]]}]])
def test_payloads_that_no_trainer_reads_are_refused(rows: list[dict[str, object]]) -> None:
    with pytest.raises(TrainerError, match="“text” or “features”"):
        registry.choose(rows)


def test_a_trainer_is_found_by_name() -> None:
    assert registry.get("numeric", [{"text": "x"}]).name == "numeric"
    assert registry.get("auto", [{"text": "x"}]).name == "text"
    with pytest.raises(TrainerError, match="no trainer “forest”; there are auto, text, numeric"):
        registry.get("forest", [{"text": "x"}])
