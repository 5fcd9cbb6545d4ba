"""A question to think about for each page, and an answer to unfold."""

from typing import NamedTuple


class Question(NamedTuple):
    """What is asked, and one answer."""

    asked: str
    answer: str


QUESTIONS = {
    "overview": Question(
        "Which of the two networks would you ship?",
        "It depends on whom you fear: somebody who changes what the network sees, or somebody who could touch what it learned from. "
        "Neither number replaces the other, so measure both, and check where the training images come from.",
    ),
    "tradeoff": Question(
        "Does the curve prove that robustness opens the door?",
        "It shows that both rise together when only the training ε changes. Another cause would have to change with ε as well. "
        "*Saliency* looks for one. The conditions that leave the curve show that the rule has limits.",
    ),
    "paper": Question(
        "We reproduce the sign of a change, but another size. Is that a success?",
        "The claim is about the direction: more robust, easier to backdoor. Size depends on data, network and training, which differ "
        "here. Where not all seeds agree on the sign, even the direction is open.",
    ),
    "glossary": Question(
        "Why is a bare *robustness* of 60% no result?",
        "It does not say against what. Another attack, norm, ε or number of steps gives another number, and so does another n.",
    ),
    "playground": Question(
        "Why does a sticker in the middle of the digit do less than in the corner of the image?",
        "In training it always stood in that corner, where digits are empty. Elsewhere it touches other pixels, and the "
        "network never learned what it means there.",
    ),
    "saliency": Question(
        "A map lights up at the sticker. Does the network therefore use it?",
        "Not surely. A map shows where a small change would matter, by one method. Cover the sticker and see whether the answer "
        "changes: that is an experiment, the map only a hint.",
    ),
    "features": Question(
        "The stamped images lie apart in the plane. Must they lie apart among all features?",
        "Yes for principal components, which only leave directions out: what is apart in two of them is apart in all. No for t-SNE, "
        "which may pull a group apart that is one. And groups that overlap in the plane may still be apart.",
    ),
    "stickers": Question(
        "Why does the attacker change no label?",
        "A false label is what a person would notice. The sticker stands on true images of the class, and goes together with it "
        "in the training set all the same.",
    ),
    "perturbations": Question(
        "PGD fails at every step. Is the network safe?",
        "Only from this attack. Its gradients may be hidden, or another start may work. At ε = 1 every network must fall: if one does "
        "not, the attack is broken. Only a proof, such as interval bounds, speaks of all attacks.",
    ),
    "photograph": Question(
        "The change cannot be seen. Why does it matter to the network?",
        "It has many thousand pixels, and each moves a little in the direction that hurts. The effects add up, while your eye "
        "averages them away.",
    ),
    "train": Question(
        "Two seeds give 40% and 70% backdoor success. What do you report?",
        "Both, and more seeds. A mean hides that training sometimes finds the sticker and sometimes does not; choosing the better "
        "one would be cheating yourself.",
    ),
    "runs": Question(
        "When may you compare two runs' adversarial accuracies?",
        "When attack, norm, ε, steps and test images are the same. A weaker attack makes any network look robust.",
    ),
    "spectral_signatures": Question(
        "A defense finds half of the poison. Is that good?",
        "Look at how much it removed. Whoever removes half of the images at random finds half of the poison too: that is the chance line.",
    ),
    "activation_clustering": Question(
        "The clusters are perfect. Why can the defense still fail?",
        "It has to say which cluster is the poison. With half of the class poisoned both are equally large and equally tight, so the rule can only guess.",
    ),
    "neural_cleanse": Question(
        "A class is flagged on a network without poison. How can that be?",
        "Of ten classes one always has the smallest mask. An index of 2 is passed by luck about once in three networks, so compare with "
        "the control.",
    ),
    "inspect_examples": Question(
        "You looked at the 20 most suspicious images and found no poison. Is the set clean?",
        "Not by that. The score may not see this poison, and a clean image can be odd too. The reviewer's curve tells how many you would have "
        "to look at.",
    ),
    "find_the_poison": Question(
        "Half of the images are poisoned. How many do you get right by marking none?",
        "Half, as by marking all or any at random. So compare with chance at your own number of marks.",
    ),
}
