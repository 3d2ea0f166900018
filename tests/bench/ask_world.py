"""A simulated app: users who answer, ignore and dismiss, who tire, and a model that is retrained from what they answer.

Nothing here knows of the policies that are compared in it.

Users come in three segments and some far more often than others. Whether somebody answers depends on who they are, their
segment and how tired they are; answers are right more or less often. Items lie in a plane of features whose classes turn
over the days (concept drift), in the smallest segment by most; frequent users bring harder items. The model is a logistic
regression, retrained every night from the newest answers.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression

DAY: Final = 86_400.0
DAYS: Final = 30
USERS: Final = 1_500
OPPORTUNITIES: Final = 20_000
SEGMENT_SHARES: Final = (0.6, 0.3, 0.1)
_ANSWERING: Final = (0.40, 0.25, 0.15)
_TURN: Final = (0.8, 0.8, 2.0)
"""Radians by which the classes turn over all days, by segment."""
_FEATURES: Final = 4
_SEED_LABELS: Final = 150
_NEWEST: Final = 1_500
_HALF_LIFE: Final = 7 * DAY
_TIRES: Final = 0.5


@dataclass
class World:
    """One history of opportunities, the same for every policy of a seed."""

    second: NDArray[np.float64]
    user: NDArray[np.int64]
    segment: NDArray[np.int64]
    features: NDArray[np.float64]
    truth: NDArray[np.int64]
    chance: NDArray[np.float64]
    """Decides what the user does if asked."""
    answering: NDArray[np.float64]
    """Of each user, when not tired."""
    dismissing: NDArray[np.float64]
    skill: NDArray[np.float64]
    first_features: NDArray[np.float64]
    first_truth: NDArray[np.int64]

    @property
    def day(self) -> NDArray[np.int64]:
        return (self.second // DAY).astype(np.int64)


def make(seed: int) -> World:
    rng = np.random.default_rng(seed)
    often = rng.pareto(1.5, USERS) + 0.3
    user = rng.choice(USERS, OPPORTUNITIES, p=often / often.sum())
    segment_of = rng.choice(3, USERS, p=SEGMENT_SHARES)
    second = np.sort(rng.uniform(0.0, DAYS * DAY, OPPORTUNITIES))
    features = rng.normal(0.0, 1.0, (OPPORTUNITIES, _FEATURES))
    # Frequent users bring items nearer to the border between the classes.
    is_frequent = often > np.quantile(often, 0.9)
    features[is_frequent[user]] *= 0.7
    segment = segment_of[user]
    truth = _classes(features, segment, second, rng)
    first = rng.normal(0.0, 1.0, (_SEED_LABELS, _FEATURES))
    first_segment = rng.choice(3, _SEED_LABELS, p=SEGMENT_SHARES)
    mean = np.array(_ANSWERING)[segment_of]
    answering = rng.beta(4 * mean, 4 * (1 - mean))
    return World(
        second,
        user,
        segment,
        np.column_stack([features, np.eye(3)[segment], features * (segment == 2)[:, None]]),
        truth,
        rng.random(OPPORTUNITIES),
        answering,
        rng.beta(2.0, 8.0, USERS) * (1 - answering),
        np.where(rng.random(USERS) < 0.15, 0.6, 0.95),
        np.column_stack([first, np.eye(3)[first_segment], first * (first_segment == 2)[:, None]]),
        _classes(first, first_segment, np.zeros(_SEED_LABELS), rng),
    )


def _classes(
    features: NDArray[np.float64], segment: NDArray[np.int64], second: NDArray[np.float64], rng: np.random.Generator
) -> NDArray[np.int64]:
    angle = np.array(_TURN)[segment] * second / (DAYS * DAY)
    score = 3.0 * (np.cos(angle) * features[:, 0] + np.sin(angle) * features[:, 1]) + 0.5 * features[:, 2]
    return (rng.random(len(score)) < 1.0 / (1.0 + np.exp(-score))).astype(np.int64)


class Crowd:
    """What users do when they are asked, and how tired that makes them."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.tired = np.zeros(USERS)
        self.tired_at = np.zeros(USERS)

    def react(self, place: int) -> str:
        """“answered”, “dismissed” or “ignored”; tires the user."""
        world, user, now = self.world, self.world.user[place], self.world.second[place]
        tired = self.tired[user] * 0.5 ** ((now - self.tired_at[user]) / _HALF_LIFE)
        answers = world.answering[user] * np.exp(-_TIRES * tired)
        dismisses = min(world.dismissing[user] * (1.0 + tired), 1.0 - answers)
        drawn = world.chance[place]
        outcome = "answered" if drawn < answers else "dismissed" if drawn < answers + dismisses else "ignored"
        self.tired[user] = tired + {"answered": 0.25, "dismissed": 1.0, "ignored": 0.5}[outcome]
        self.tired_at[user] = now
        return outcome

    def says(self, place: int) -> int:
        """The class that the user names."""
        world = self.world
        is_right = (world.chance[place] * 7919.0) % 1.0 < world.skill[world.user[place]]
        return int(world.truth[place]) if is_right else 1 - int(world.truth[place])


class Model:
    """Learns from the first labels and the newest answers."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.features: list[NDArray[np.float64]] = []
        self.labels: list[int] = []
        self.fitted = self._fit()

    def learn(self, place: int, label: int) -> None:
        self.features.append(self.world.features[place])
        self.labels.append(label)

    def retrain(self) -> None:
        self.fitted = self._fit()

    def probabilities(self, places: NDArray[np.int64]) -> NDArray[np.float64]:
        """Of class 1."""
        said: NDArray[np.float64] = self.fitted.predict_proba(self.world.features[places])[:, 1]
        return said

    def _fit(self) -> LogisticRegression:
        newest = self.features[-_NEWEST:]
        world = self.world
        # The first labels count for less the more answers there are.
        weights = [1.0 / (1.0 + len(newest) / 300.0)] * len(world.first_truth) + [1.0] * len(newest)
        features = np.concatenate([world.first_features, np.array(newest).reshape(-1, world.features.shape[1])])
        labels = np.concatenate([world.first_truth, np.array(self.labels[-_NEWEST:], dtype=np.int64)])
        return LogisticRegression(max_iter=200).fit(features, labels, sample_weight=weights)
