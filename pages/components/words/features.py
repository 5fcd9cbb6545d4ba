"""What becomes of images among the features, in words."""

from pages.components.words.models import an, called
from tradeoff_core.explanations.feature_plane import GROUPS, Crowd
from tradeoff_core.models.zoo import Model


def crowd_in_words(letter: str, model: Model, crowd: Crowd) -> str:
    """What becomes of the stamped and of the attacked images."""
    target = model.spec.target_class
    stamped, attacked = (crowd.group == GROUPS.index(name) for name in ("stamped", "adversarial"))
    reached, drawn = ((crowd.read[where] == target).mean() for where in (stamped, attacked))
    name = called(model, target)
    return (
        f"{letter} reads **{reached:.0%}** of these {stamped.sum()} stamped images as {an(name)}, "
        f"and {drawn:.0%} of the attacked ones."
    )
