"""The poison rates and the maps in words: where backdoor success rises with the training ε, and where not."""

from collections.abc import Callable, Mapping, Sequence
from statistics import fmean

from tradeoff_core.findings.results import Run
from tradeoff_core.rates import Rate

CONSPICUOUS = 0.93  # mean clean accuracy below which an attack gives itself away
PEAK = 0.05  # of backdoor success above both ends: less is no turn on the way


def _by_epsilon(runs: Sequence[Run]) -> dict[float, float]:
    """Mean backdoor success at each training ε, from the smallest."""
    epsilons = sorted({run.epsilon for run in runs})
    return {
        epsilon: fmean(run.backdoor_success_rate.value for run in runs if run.epsilon == epsilon)
        for epsilon in epsilons
    }


def _ends(runs: Sequence[Run]) -> tuple[float, float] | None:
    """Mean backdoor success of standard training and at the largest training ε, None without both."""
    success = _by_epsilon(runs) or {0.0: 0.0}
    return (success[0.0], success[max(success)]) if 0.0 in success and max(success) > 0 else None


def rates_in_words(runs: Sequence[Run]) -> str:
    """For each poison rate, from where to where backdoor success goes, over the seeds that both ends have."""
    strongest = max(run.epsilon for run in runs)
    parts, counts = [], set()
    for share in sorted({run.spec.poison.rate for run in runs if run.spec.poison}):
        chosen = [run for run in runs if run.spec.poison and run.spec.poison.rate == share]
        at = [{run.seed for run in chosen if run.epsilon == epsilon} for epsilon in (0.0, strongest)]
        ends = _ends([run for run in chosen if run.seed in at[0] & at[1] and run.epsilon in (0, strongest)])
        if ends:
            counts.add(len(at[0] & at[1]))
            word = "rises" if ends[1] > ends[0] else "falls"
            parts.append(f"{share:.0%} poisoned: {word} from **{ends[0]:.0%}** to **{ends[1]:.0%}**")
    if not parts:
        return "Too little of this is measured yet to say."
    seeds = " to ".join(str(count) for count in sorted({min(counts), max(counts)}))
    return (
        f"Backdoor success from standard training to training ε = {strongest:g} (mean of {seeds} "
        f"{'seed' if counts == {1} else 'seeds'}): " + "; ".join(parts) + "."
    )


def conspicuous(runs: Sequence[Run]) -> str:
    """A warning where all of the class is poisoned, and clean digits of it are no longer read as it."""
    whole = [run.clean_accuracy.value for run in runs if run.spec.poison and run.spec.poison.rate == 1]
    if not whole or fmean(whole) > CONSPICUOUS:
        return ""
    return (
        f" With all of them poisoned clean accuracy falls to {fmean(whole):.0%}, because the class is hardly read "
        "without the sticker: anyone would notice that attack."
    )


def map_in_words(runs: Sequence[Run], of: Callable[[Run], float], what: str, unit: str) -> str:
    """For how many values of a trigger's property training at the largest ε opens the back door further."""
    rising, falling = [], []
    for value in sorted({of(run) for run in runs}):
        these = [run for run in runs if of(run) == value]
        ends = _ends(these)
        if ends:
            measure = f"{value:g} {unit if value == 1 else unit + 's'}" if unit else f"{value:g}"
            text = f"{what} {measure}: {ends[0]:.0%} → {ends[1]:.0%}{_peak(these, ends)}"
            (rising if ends[1] > ends[0] else falling).append(text)
    strongest = max(run.epsilon for run in runs)
    count = len(rising) + len(falling)
    if not count:
        return "Too little of this map is measured yet to say."
    text = f"From standard training to training ε = {strongest:g}, backdoor success rises for {len(rising)} of {count} {what}s"
    text += f" ({'; '.join(rising)})" if rising else ""
    return text + (f"; it does **not** for {len(falling)} ({'; '.join(falling)})." if falling else ".")


def theories_in_words(right: Mapping[str, Rate]) -> str:
    """How often what was said of the finding since is right about the cells of the maps."""
    by_amplitude, by_scale = right.values()
    if not by_amplitude.n:
        return ""
    return (
        "One paper says that adversarial training opens a back door only where the trigger's amplitude exceeds ε ([arXiv 2202.10627]"
        "(https://arxiv.org/abs/2202.10627), the orange line). Another shows, for linear regression, that it leans on a spurious "
        "feature only where that is stronger than the class's own ([arXiv 2209.07592](https://arxiv.org/abs/2209.07592), dashed; how "
        f"we measure that is our choice). Of {by_amplitude.n} cells of both maps that moved beyond chance, the first is right about "
        f"**{by_amplitude.count}**, the second about **{by_scale.count}**."
    )


def _peak(runs: Sequence[Run], ends: tuple[float, float]) -> str:
    """Where backdoor success is higher on the way than at both ends, if it is."""
    success = _by_epsilon(runs)
    epsilon = max(success, key=lambda at: success[at])
    return f", but {success[epsilon]:.0%} at ε {epsilon:g}" if success[epsilon] > max(ends) + PEAK else ""
