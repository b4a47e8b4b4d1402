"""The figures of the summary, each with one sentence that says what it means."""

from dataclasses import dataclass
from typing import Any

from zoo_pipeline.counts import plural
from zoo_pipeline.report.formats import count, known, score, share
from zoo_pipeline.report.formats import figure as quantity


@dataclass(frozen=True)
class Card:
    """One figure.

    Attributes:
        key: its name in `summary.json`.
        label: its name in words.
        value: as shown.
        meaning: one sentence.
        level: where it lies between nothing (0) and perfect (1), for a bar; None where that makes no sense.
    """

    key: str
    label: str
    value: str
    meaning: str
    level: float | None = None


@dataclass(frozen=True)
class CardGroup:
    """Figures that answer one question."""

    question: str
    cards: list[Card]


def card_groups(summary: dict[str, Any]) -> list[CardGroup]:
    """All figures of the summary but the seconds, by the question that they answer."""
    return [
        CardGroup("Which checkpoints belong together?", [_found(summary), *_separation(summary), _margin(summary)]),
        CardGroup("In which order did they come?", _ordering(summary)),
        CardGroup("Which end is first?", _direction(summary)),
    ]


def headline(summary: dict[str, Any]) -> str:
    """The result in two sentences."""
    found, true = int(summary["trajectories_found"]), summary.get("trajectories_true")
    checkpoints, numbers = plural(summary["checkpoints"], "checkpoint"), plural(summary["dimension"], "number")
    text = (
        f"From the weights of {checkpoints} alone ({numbers} each, no labels, no order), the "
        f"analysis recovered {plural(found, 'trajectory')}"
    )
    if not known(true):
        return f"{text}. What is true is not known here, so nothing is scored."
    exact = summary.get("exact_trajectories")
    whole = round(exact * true) if known(exact) else None
    order = summary.get("order_exact")
    if whole == true == found:
        text += ": exactly the models that were trained" + (" so far" if summary.get("complete") is False else "")
        return (
            f"{text}, every one in its right order."
            if order == 1.0
            else f"{text}, {share(order)} of them in the exact order."
        )
    text += f"; they come from {plural(int(true), 'model')}"
    return f"{text}, {count(whole)} of them recovered as exactly one trajectory." if whole is not None else f"{text}."


def incomplete_note(summary: dict[str, Any]) -> str | None:
    """That the run was not complete, where it was not."""
    if summary.get("complete") is not False:
        return None
    return (
        "The run was not complete: this is of the checkpoints that were there. Train it to its end with --resume, and "
        "analyse it again."
    )


def left_out_note(summary: dict[str, Any]) -> str | None:
    """What the analysis did not look at, or None where it looked at everything."""
    left_out = summary.get("left_out") or {}
    models, checkpoints = int(left_out.get("models") or 0), int(left_out.get("checkpoints") or 0)
    if not models and not checkpoints:
        return None
    kept = "They are kept in the files as they are; no score counts them."
    if not models:
        were = "was" if checkpoints == 1 else "were"
        return f"{plural(checkpoints, 'checkpoint')} with weights that are not finite numbers {were} left out. {kept}"
    return (
        f"{plural(models, 'model')} diverged (weights that are not finite numbers) and "
        f"{'was' if models == 1 else 'were'} left out of the analysis with {plural(checkpoints, 'checkpoint')}. {kept}"
    )


def cut_note(summary: dict[str, Any]) -> str | None:
    """Where and by which rule the tree was cut."""
    cut = summary.get("cut") or {}
    if not cut.get("rule"):
        return None
    height = cut.get("height")
    return f"Cut of the tree: {cut['rule']}" + (f", at height {quantity(height)}." if known(height) else ".")


def _scored(summary: dict[str, Any], key: str, label: str, meaning: str, *, percent: bool) -> Card:
    value = summary.get(key)
    if not known(value):
        return Card(key, label, "n/a", "Not scored: the truth is unknown, or nothing here defines it.")
    return Card(key, label, (share if percent else score)(value), meaning, min(1.0, max(0.0, float(value))))


def _found(summary: dict[str, Any]) -> Card:
    found, true = int(summary["trajectories_found"]), summary.get("trajectories_true")
    label = "Trajectories found"
    if not known(true):
        return Card("trajectories_found", label, count(found), "Found from the weights; how many there are is unknown.")
    more = found - int(true)
    meaning = "The number was not given: it was found from the weights, and it is the number of models."
    if more > 0:
        meaning = f"{more:,} more than there are models: some trajectories came apart."
    elif more < 0:
        meaning = f"{-more:,} fewer than there are models: some trajectories were joined."
    return Card("trajectories_found", label, f"{count(found)} of {count(true)}", meaning)


def _separation(summary: dict[str, Any]) -> list[Card]:
    exact, ari, ami = (summary.get(key) for key in ("exact_trajectories", "ari", "ami"))
    exactly = "The share of models whose checkpoints, all of them and no others, form one trajectory."
    if exact == 1.0:
        exactly = "The checkpoints of every model, all of them and no others, form one trajectory."
    return [
        _scored(summary, "exact_trajectories", "Exact trajectories", exactly, percent=True),
        _scored(
            summary,
            "ari",
            "Adjusted Rand index",
            f"{_grade(ari)} agreement over all pairs of checkpoints: together or apart. 1 is perfect, 0 is chance.",
            percent=False,
        ),
        _scored(
            summary,
            "ami",
            "Adjusted mutual info",
            f"{_grade(ami)} knowledge of the model from the trajectory. 1 is perfect, 0 is chance.",
            percent=False,
        ),
    ]


def _margin(summary: dict[str, Any]) -> Card:
    margin = summary.get("margin")
    if not known(margin):
        meaning = "Not defined: it takes two trajectories or more whose truth is known, all compared with each other."
        return Card("margin", "Margin", "n/a", meaning)
    meaning = f"The two nearest trajectories are {quantity(margin)} times as far apart as the longest step within one."
    if margin <= 1:
        meaning = "The longest step is longer than the distance between two trajectories: distance alone is not enough."
    return Card("margin", "Margin", f"{quantity(margin)}×", meaning)


def _ordering(summary: dict[str, Any]) -> list[Card]:
    tau = "Kendall's |τ| between recovered and true order, averaged over models: 1 is perfect, 0 is random."
    worst, least = summary.get("kendall_tau_min"), "The same for the worst model of all."
    if worst == 1.0:
        least = "Even for the worst model no two checkpoints are swapped."
    exact = "The share of models with every checkpoint in its place, the direction left aside."
    return [
        _scored(summary, "kendall_tau_mean", "Order, mean |τ|", tau, percent=False),
        _scored(summary, "kendall_tau_min", "Order, worst |τ|", least, percent=False),
        _scored(summary, "order_exact", "Exact order", exact, percent=True),
    ]


def _direction(summary: dict[str, Any]) -> list[Card]:
    accuracy = "The share of models (of 3 checkpoints or more) whose first checkpoint was told from their last."
    undecided = summary.get("direction_undecided")
    meaning = "The share of trajectories for which the analysis abstained from naming the first end."
    if undecided == 0.0:
        meaning = "The analysis named the first end of every trajectory."
    return [
        _scored(summary, "direction_accuracy", "Direction right", accuracy, percent=True),
        Card(
            "direction_undecided",
            "Direction undecided",
            share(undecided),
            meaning if known(undecided) else "Not known.",
        ),
    ]


def _grade(value: Any) -> str:
    """A score between chance and perfect, in one word that starts a sentence."""
    if not known(value):
        return ""
    grades = ((1.0, "Perfect"), (0.95, "Nearly perfect"), (0.8, "Good"), (0.5, "Partial"), (0.1, "Weak"))
    return next((word for least, word in grades if value >= least), "No better than chance:")
