"""What the methods of saliency show and do not show, and the measured explanation in words."""

from collections.abc import Sequence
from dataclasses import dataclass

from tradeoff_core.attacks.attack import Norm
from tradeoff_core.experiments.spec import DEFAULT_NETWORK, USUAL
from tradeoff_core.explanations.attribution import SAMPLES, Method
from tradeoff_core.explanations.sticker_share import Correlation
from tradeoff_core.findings import first_draws
from tradeoff_core.findings.results import Cause
from tradeoff_core.models import zoo
from tradeoff_core.models.zoo import Model
from tradeoff_core.poisoning.poison import PoisonLabels

CLEAR = 0.05  # p-value below which a correlation is more than chance


@dataclass(frozen=True, slots=True)
class Explained:
    """A method's name, and what its picture shows and does not show, each as the end of a sentence."""

    title: str
    shows: str
    hides: str


METHODS = {
    Method.INPUT_GRADIENT: Explained(
        "Input gradient",
        "how the class's score would change if a pixel got a little brighter",
        "how much a pixel has contributed already: where the score no longer rises, the gradient is 0 however much it matters",
    ),
    Method.INPUT_X_GRADIENT: Explained(
        "Input × gradient",
        "the gradient times the pixel's brightness",
        "anything where the image is black, however much it matters that it is black",
    ),
    Method.INTEGRATED_GRADIENTS: Explained(
        "Integrated gradients",
        "what each pixel adds to the score on the way from a black image to this one; the parts sum to the whole",
        "what another starting image than black would have given",
    ),
    Method.SMOOTHGRAD: Explained(
        "SmoothGrad",
        f"the input gradient averaged over {SAMPLES} noisy copies of the image",
        "the network's answer to this very image: the noise blurs it, and hides noise that is really there",
    ),
    Method.DEEPLIFT: Explained(
        "DeepLift",
        "what each pixel adds to the score compared with a black image, carried back layer by layer",
        "how pixels act together: it shares out joint effects by a fixed rule",
    ),
    Method.GRAD_CAM: Explained(
        "Grad-CAM",
        "which regions of the last map of features speak for the class",
        "single pixels: its map is coarse and only enlarged, so a small sticker is a blur",
    ),
    Method.GUIDED_GRAD_CAM: Explained(
        "Guided Grad-CAM",
        "fine lines inside the regions that Grad-CAM marks",
        "much of the network: it draws edges even for networks with random weights",
    ),
    Method.OCCLUSION: Explained(
        "Occlusion",
        "how much the class's score falls when a patch is painted black",
        "anything where the image is black already, nor features larger than a patch",
    ),
    Method.ATTENTION_ROLLOUT: Explained(
        "Attention rollout",
        "of which patches a transformer takes in how much, followed through the attention of all its blocks",
        "whether a patch speaks for a class or against it: it is the same for every class, and only transformers have it",
    ),
}
WITHOUT_SIGN = (Method.GRAD_CAM, Method.ATTENTION_ROLLOUT)  # their values are 0 or more
WITHOUT_CLASS = (Method.ATTENTION_ROLLOUT,)


def listed(methods: Sequence[Method]) -> str:
    """Their names, as a list in a sentence."""
    names = [METHODS[method].title for method in methods]
    return f"{', '.join(names[:-1])} and {names[-1]}"


def zoo_of(dataset: str) -> list[Model]:
    """The zoo's models of a data set."""
    models = [zoo.find_model(name) for name in zoo.model_ids()]
    return [model for model in models if model.spec.dataset == dataset]


def along_epsilon(causes: Sequence[Cause]) -> list[Cause]:
    """Those that differ in the training ε alone: clean-label sticker, l∞ attack or none, the usual network."""
    chosen = [
        cause
        for cause in causes
        if cause.shares
        and cause.spec.poison
        and cause.spec.poison.labels is PoisonLabels.CLEAN
        and cause.spec.network == USUAL.get(cause.spec.dataset, DEFAULT_NETWORK)
        and not cause.spec.training.lipschitz
        and not cause.spec.training.interval_bounds
        and (
            cause.spec.training.attack is None
            or (cause.spec.training.attack.norm is Norm.LINF and not cause.spec.training.attack.targeted)
        )
    ]
    return sorted(chosen, key=lambda cause: cause.spec.training.epsilon)


def _said(correlation: Correlation | None, of: str) -> str:
    if correlation is None:
        return f"Of {of} there are too few to correlate"
    p = "p < 0.001" if correlation.p < 0.001 else f"p = {correlation.p:.3f}"
    return f"Over {of} the rank correlation is **{correlation.value:+.2f}** ({p}, {correlation.n} networks)"


def reading(causes: Sequence[Cause], method: Method) -> str:
    """What the correlation of the share on the sticker with backdoor success says, also if against the explanation."""
    poisoned = [cause for cause in causes if cause.spec.poison]
    clean_label = first_draws.clean_label(causes)
    every, within = (first_draws.rising_together(of, method) for of in (causes, clean_label))
    text = _said(every, "all of them") + ". " + _said(within, "those with clean-label poison") + ". "
    if within is None:
        return text + "So this says nothing yet about the explanation."
    if within.p < CLEAR and within.value > 0:
        verdict = (
            "Where the poison is the same, networks that look more at the sticker open the door wider: that fits "
            "the explanation, as far as so few networks can show"
        )
    elif within.p < CLEAR:
        verdict = (
            "Networks that look more at the sticker open the door *less*: that speaks against the explanation"
        )
    else:
        verdict = "Chance alone could give that: by this method the explanation is **not** supported"
    standard = [
        cause
        for cause in poisoned
        if cause not in clean_label and cause.spec.training.epsilon == 0 and cause.success.value > 0.9
    ]
    if standard:
        low, most = (
            min(cause.shares[method][1].value for cause in standard),
            max(cause.shares[method][1].value for cause in clean_label),
        )
        if low < most / 2:
            verdict += (
                f". A large share is not needed for a back door, though: with dirty labels a standard network "
                f"has backdoor success {standard[0].success.value:.0%} at a share of {low:.0%}"
            )
    return text + verdict + "."


def crossing(lettered: Sequence[tuple[str, Cause]], target: str) -> str:
    """From how much of the sticker on half of the images are read as the target, for each network."""
    parts = []
    for letter, cause in lettered:
        at = next(
            (
                share
                for share, reached in zip(cause.fading["share"], cause.fading["predicted"], strict=True)
                if reached >= 0.5
            ),
            None,
        )
        end = cause.fading["margin"][-1] - cause.fading["margin"][0]
        parts.append(
            f"{letter}: the whole sticker changes that lead by **{end:+.1f}**, "
            + (
                f"and most images are never read as {target}"
                if at is None
                else f"half of the images are read as {target} once {at:.0%} of it is there"
            )
        )
    return (
        f"The line is how far {target} leads the best other class on average, the band the middle half of the images. Above "
        f"the dotted line {target} wins. {'; '.join(parts)}. Two networks' logits have different scales: compare where they cross."
    )


def drawn_to(lettered: Sequence[tuple[str, Cause]], target: str, every: dict[str, Cause]) -> str:
    """Whether untargeted attacks end in the target class more often than chance, and than without poison."""
    parts = []
    for letter, cause in lettered:
        total = int(cause.landing.sum())
        if not total:
            parts.append(f"{letter}: no image was fooled")
            continue
        share = cause.landing[cause.spec.target_class] / total
        control = next(
            (
                other
                for other in every.values()
                if other.spec.poison is None
                and other.spec.training == cause.spec.training
                and other.spec.network == cause.spec.network
                and other.landing.sum()
            ),
            None,
        )
        text = f"{letter}: of {total:,} fooled images **{share:.0%}** end as {target} (framed)"
        if control and cause.spec.poison:
            text += f", and {control.landing[control.spec.target_class] / control.landing.sum():.0%} without the poison"
        parts.append(text)
    chance = 1 / (len(lettered[0][1].landing) - 1)
    return (
        "; ".join(parts)
        + f". If all wrong classes were alike, it would be {chance:.0%}. The attack ({lettered[0][1].attack}) wants any mistake, and "
        "knows nothing of the back door."
    )
