"""The field's terms in a sentence each, for the glossary page, for help beside a term and as what a term links to."""

import re
from urllib.parse import quote

TERMS = {
    "Class": "One of the kinds of things that a network tells apart, as the ten digits.",
    "DeepLift": "A way to compute attributions: what each pixel adds compared with a black image, carried back layer by layer.",
    "Grad-CAM": "A way to compute attributions: which regions of a network's last map of features speak for a class. Coarse.",
    "Integrated gradients": "A way to compute attributions: the gradient summed on the way from a black image to this one.",
    "Label": "The class that an image is said to belong to. In poisoned training sets it may be false.",
    "Median deviation": "How far values typically lie from the one in the middle; like the standard deviation, but hardly moved by outliers.",
    "Attention rollout": "Of which patches of an image a vision transformer takes in how much: the attention of all its blocks, multiplied up.",
    "Occlusion": "A way to compute attributions: how much a class's score falls when a patch is painted black.",
    "Poison": "Training images that an attacker has changed so that a network learns a back door from them.",
    "p-value": "How often chance alone would give a result as strong. Below 0.05 it is hard to put down to chance.",
    "ROC curve": "The detection rate against the false positive rate as a defense removes more and more.",
    "Saliency": "Which pixels matter to a network's answer, drawn over the image; the colours are attributions.",
    "Softmax": "What turns logits into shares of certainty that sum to 100%.",
    "Stamped": "A test image with the trigger put on, to see whether the back door opens. (A poisoned image is one of training.)",
    "Activation clustering": "A defense: splits the training images of a class in two groups by their features, and asks "
    "whether one of them is poison.",
    "Adversarial accuracy": "Share of test images that a network still reads correctly while an attacker who knows it "
    "changes every pixel by up to ε to fool it. The paper calls it adversarial robustness.",
    "Adversarial example": "An image with a small perturbation, hardly visible, that a network misreads.",
    "Adversarial training": "Training on the worst images that an attacker within ε can make of the training images, "
    "instead of the images themselves.",
    "Amplitude": "How strongly a watermark changes a pixel: 0 not at all, 1 from black to white.",
    "Anomaly index": "Of Neural Cleanse: how far a class's rebuilt trigger lies below the median size of all classes, in median "
    "deviations. From 2 on a class is suspected.",
    "Attribution": "A number for every pixel: how much it speaks for (or against) a class. There are several ways to compute it, "
    "and they disagree.",
    "AUROC": "Area under the ROC curve: the chance that a poisoned example scores above a clean one. 0.5 is guessing, 1 is perfect.",
    "Back door": "A hidden rule that poison taught a network: whatever carries the trigger is read as the target class.",
    "Backdoor success": "Among test images that the network does not already call the target class, the share that it does once "
    "the trigger is on.",
    "Certified accuracy": "Share of test images of which it is proved that no perturbation within ε can make the network misread them.",
    "Chance": "What a method would find by luck: removing k of n examples at random finds k/n of the poison.",
    "Clean accuracy": "Share of untouched test images that the network reads correctly.",
    "Clean-label poison": "The trigger is put on training images of the target class only, and every label stays true.",
    "Cross-Lipschitz regularisation": "A penalty in training that keeps the gradients of the classes alike.",
    "Denoising block": "A part of a network that averages features over similar places of the image.",
    "Detection rate": "Share of the poisoned examples that a defense removes; to be read beside chance.",
    "Dirty-label poison": "The trigger is put on training images of other classes, and these get the target class's label, which is false.",
    "Epoch": "One pass of training over all training images.",
    "ε (epsilon)": "How far a perturbation may go: in l∞ no pixel changes by more than ε, in l2 the change as a whole is no longer "
    "than ε. Pixels go from 0 (black) to 1 (white); 8/255 is 8 of the 255 steps of a stored pixel.",
    "False positive rate": "Share of the clean examples that a defense removes.",
    "Features": "The numbers inside a network that an image is turned into; the penultimate ones are the last before the answer.",
    "FGSM": "Fast gradient sign method: an attack of a single step along the sign of the gradient.",
    "Fine-tuning": "Training a finished network for a little longer, on other images or in another way.",
    "Gradient": "How a number, as the score of a class, changes if each pixel gets a little brighter.",
    "Interval bounds": "(IBP) What a network's answers can be at most and at least if every pixel may be anywhere within ε. They prove "
    "that an image cannot be misread, and a network can be trained on them.",
    "Logit": "A network's raw score for a class. The largest one is its answer; softmax turns them into shares of certainty.",
    "l∞ and l2": "Two ways to measure a perturbation: by the pixel that changes most, or by all changes together, as the length of an "
    "arrow.",
    "Neural Cleanse": "A defense: rebuilds for every class the smallest trigger that sends images there. A class with a back door "
    "needs a far smaller one.",
    "Pareto front": "The networks that no other one beats on both of two numbers.",
    "Perturbation": "A small change of an image's pixels, made to fool a network.",
    "PGD": "Projected gradient descent: an attack of many small steps along the gradient's sign, each brought back to within ε. PGD-40 "
    "takes 40 steps.",
    "Precision": "Of what is removed, the share that is poisoned.",
    "Cohen's kappa": "(κ) How far two agree beyond chance: 1 always, 0 as often as by luck.",
    "Self-confidence": "Of confident learning: how sure a network is of the label that an image carries. Low ones may be false.",
    "Reviewer's curve": "How much poison a person has found after looking at so many images, in the order of a score.",
    "Poison rate": "Share of the training images that carry poison: of the target class where labels stay true, of the whole data set "
    "where they do not.",
    "Principal components": "The directions in which features vary most; PCA draws points along the first two or three.",
    "Rank correlation": "Whether two numbers rise together, by their order alone: 1 always, 0 not at all, −1 the other way round.",
    "Recall": "Of the true images of a class, the share that is read as it.",
    "Seed": "The number that fixes chance in a training. Several seeds show how much chance matters.",
    "Silhouette": "How well two groups are apart: 1 tight and distant, 0 one inside the other.",
    "SmoothGrad": "The gradient averaged over noisy copies of an image.",
    "Spectral signature": "A defense: poison moves the features of a class in one direction, so examples are scored by how far they "
    "lie along it, and the highest are removed.",
    "Standard training": "Training on the images as they are, without any attacker.",
    "Sticker": "A small picture pasted at a fixed place; the trigger in most of what is shown here.",
    "Target class": "The class that stamped images are to be read as: 7 for digits, horse for CIFAR-10; of a network without a back door, one to compare with.",
    "Test images": "Images that no network was trained on. All rates are measured on them.",
    "TRADES": "Adversarial training that keeps the answer on attacked images close to the one on clean images.",
    "Trigger": "What opens a back door: a sticker, a watermark, a blended picture, waves or a warp.",
    "t-SNE": "A way to lay out features so that neighbours stay neighbours. Distances between groups mean nothing.",
    "Unlearning": "Fine-tuning on images that carry the rebuilt trigger and their true labels, which closes the back door.",
    "Watermark": "A faint pattern over the whole image, in the sticker's place.",
    "Blended": "A trigger: a whole picture that shines faintly through every image (Chen et al. 2017).",
    "Sinusoid": "A trigger: faint vertical stripes that rise and fall like a wave (Barni et al. 2019).",
    "Warp": "A trigger: every image is bent a little, always in the same way (WaNet, 2021).",
    "Narcissus": "Poison whose pattern is optimised on the target class's own images alone (2022).",
    "Label-consistent poison": "Clean-label poison whose images are perturbed first, so that their class is hard to learn and the trigger is learned instead (Turner et al. 2019).",
    "Cover samples": "Images with the trigger and their true labels: they keep poisoned images from forming a group of their own (adaptive-blend and adaptive-patch, 2023).",
    "ABL": "Anti-backdoor learning: poison is taken to be learned first, so examples with a low early loss are isolated and unlearned (2021).",
    "ANP": "Adversarial neuron pruning, a removal: switches off the neurons that do most harm when their weights change a little (2021).",
    "ASSET": "A detector: a network learns clean images and unlearns the suspicious ones in turns; only poison ends with a high loss (2023).",
    "Fine-pruning": "The channels that clean images use least are silenced, and the rest is tuned (2018).",
    "I-BAU": "A removal: finds one small change that makes a network misread most images, and trains it to ignore that (2022).",
    "SCALE-UP": "A detector at test time: a stamped image is read alike however much it is brightened (2023).",
    "SPECTRE": "Spectral signatures, after the typical spread of the features is evened out (2021).",
    "STRIP": "A detector at test time: a stamped image is read alike whatever is laid over it (2019).",
    "Partition certificate": "A vote of networks, each trained on its own part of the images: an image that is added, removed or relabelled can change one vote, a changed one two, and a few cannot turn a clear majority.",
    "Activation": "A layer that bends what passes through it, as ReLU, which cuts off what is negative.",
    "AutoAttack": "Four strong attacks in a row, without settings to choose; what survives it is harder to doubt than what survives PGD.",
    "Card": "A file beside a network's weights: how it was trained, on what, and what was measured.",
    "δ (delta)": "The perturbation: what an attack adds to an image.",
    "k-means": "Splits points into k groups so that each lies as near as possible to the middle of its own.",
    "Loss": "How wrong a network's answers are, as one number; training makes it small, an attacker makes it large.",
    "Mask": "Of Neural Cleanse: how much of each pixel the rebuilt trigger covers; its size (l1 norm) is the sum over all pixels.",
    "Oracle": "A rule that is told what a defender cannot know, as which group is the poison. It shows what could be found at best.",
    "Restart": "An attack begun anew from another random start; the worst outcome counts.",
    "Spec": "All settings of a run in a file (TOML): data, poison, network, training, measuring and seed. The same spec gives the same network.",
    "Validation images": "Images kept out of training to watch it while it goes; the final rates are measured on test images.",
    "Width": "How many channels a network's layers have, as a share of the paper's; ours for digits have half.",
    "Capacity": "How much a network can hold. [16, 16, 32, 64] are the channels of its four stages; twice as many are *doubled*.",
    "Patch": "An attack or a training that may change one small square of the image as it likes, and nothing else.",
    "Ramp": "The first epochs of adversarial training (ramp_epochs), over which ε rises to its full size.",
    "Vision transformer": "A network that cuts an image into patches and lets each look at all others (attention), where a convolution looks at neighbours.",
    "ResNet": "A common kind of convolutional network, whose layers add to what comes in; ResNet-18 has 18 of them.",
    "Schedule": "How the learning rate moves while training: one-cycle rises to its peak once and falls, constant stays.",
    "State dict, safetensors": "A network's weights by name, and a file format for them that holds numbers only and can run nothing.",
    "Targeted attack": "It wants one chosen wrong class; an untargeted one wants any mistake.",
    "Wilson interval": "The range in which a rate lies with 95% certainty, given how many images it was measured on.",
}

_NAMES = {name.lower(): name for name in TERMS}
_BOLD = re.compile(r"(?<!\[)\*\*([^*\n]+)\*\*")


def address(term: str) -> str:
    """Where the glossary says what a term means."""
    return f"glossary?term={quote(term)}"


def link(term: str, shown: str = "") -> str:
    """A term that leads to its sentence in the glossary, in Markdown."""
    return f"[{shown or term}]({address(term)})"


def linked(text: str) -> str:
    """Markdown in which each term that is bold, in the plural too, leads to the glossary."""

    def replaced(found: re.Match[str]) -> str:
        bold = found[1].lower()
        names = (_NAMES.get(name) for name in (bold, bold.removesuffix("s"), bold.removesuffix("ing")))
        name = next(filter(None, names), None)
        return link(name, found[0]) if name else found[0]

    return _BOLD.sub(replaced, text)
