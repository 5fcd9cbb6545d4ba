"""The last part of every page: what it computes, by which method, in formulas, and the sources."""

from tradeoff_core.defenses.activation_clustering import SMALL
from tradeoff_core.explanations.attribution import NOISE, STEPS
from tradeoff_core.findings.game import DEALT

CITATION = (
    "Weng, Lee, Wu: *On the Trade-off between Adversarial and Backdoor Robustness*, "
    "[NeurIPS 2020](https://proceedings.neurips.cc/paper/2020/hash/8b4066554730ddfaa0266346bdc1b202-Abstract.html)"
)

ACTIVATION_CLUSTERING = rf"""
The features $h(x_i)$ of all training images with one label are reduced to a few components $z_i$ and split by **k-means**
into two clusters with centres $c_0, c_1$, so that the images lie as near to their centre as possible:

$$
\min_{{c_0, c_1}} \sum_i \min_k \lVert z_i - c_k \rVert^2
$$

k-means always finds two clusters, poison or not. So a rule must decide. **Size**: poison is rarer than clean images,
so a cluster under {SMALL:.0%} of the class is suspicious. **Silhouette**: $(b - a) / \max(a, b)$, averaged over the
images, where $a$ is the mean distance to the own cluster and $b$ to the other one; two true groups score high, one
group cut in half scores low.

If exactly half of a class is poisoned, both groups are equally large and equally tight. The clusters may then be
perfect and the defense still helpless: it sees two kinds of the class, and cannot know which is
the true one. On CIFAR-10 the paper reports that the clusters themselves mix poison and clean (48% found); on our digits
they do not.

Chen et al.: *Detecting Backdoor Attacks on Deep Neural Networks by Activation Clustering*,
[SafeAI 2019](https://arxiv.org/abs/1811.03728).

"""

FEATURES = r"""
The network's last layer answers from its **penultimate features** $h(x)$ alone: $f(x) = W h(x) + b$. So an image that is
read as the target is one whose features point along the target's row of $W$ more than along any other (apart from $b$).

**Principal components** (PCA) are the directions $u_1, u_2, \dots$ in which the features vary most,
$u_1 = \arg\max_{\lVert u \rVert = 1} \mathrm{Var}\,(u^\top h)$, and so on at right angles. **t-SNE** (van der Maaten and
Hinton, [2008](https://jmlr.org/papers/v9/vandermaaten08a.html)) places the points so that the probabilities $p_{ij}$ of
being neighbours among the features are kept in the plane as $q_{ij}$:

$$
\min_{q} \sum_{i \ne j} p_{ij} \log \frac{p_{ij}}{q_{ij}}
$$

The **silhouette** of an image (Rousseeuw, [1987](https://doi.org/10.1016/0377-0427(87)90125-7)) is $(b - a) / \max(a, b)$,
where $a$ is its mean distance to its own group and $b$ to the other one.

Poisoned images are training images; stamped ones are test images of all other classes with the same sticker on. Where the
back door works they leave their own class for the target's side, towards its poisoned images, which need not lie near its clean
ones.

"""

FIND_THE_POISON = f"""
Each level has its own network, adversarially trained on a training set in which half of the true images of the target class
carry that level's trigger; no label is changed (clean-label poisoning). Spectral signatures and activation clustering see the network's features of all
training images of the class, and judge each; shown is what they say of your {DEALT}.

You look at pixels, the defenses at features. You find what is visible; they find what the network made its own. A faint
sticker that the network never learned (its backdoor success is low) leaves no trace in the features, and a clear one
makes two tidy groups of equal size, of which nobody can say which is the poison without looking: a rule that takes the
smaller one is right by luck. No level has a warp: without the image before it nobody can see one.

"""

GLOSSARY = r"""
The question of this app, in these words: is a network that keeps its **adversarial accuracy** easier to give a
**back door**? For a network $f$, images $x$ with labels $y$, a trigger $s$ and its target class $t$ the three numbers are

$$
\Pr[f(x) = y], \qquad \Pr\big[f(x + \delta) = y \;\; \forall \, \lVert \delta \rVert \le \varepsilon\big], \qquad
\Pr\big[f(s(x)) = t \;\big|\; f(x) \ne t\big]
$$

The second can only be measured from above, by attacking, or proved from below. Each page explains its own methods in the
same place.

"""

NEURAL_CLEANSE = r"""
For a class $t$, find a mask $m$ and a pattern $p$, both in $[0, 1]$, that send every image there when stamped, with as
little mask as possible:

$$
\min_{m, p} \; \mathbb{E}_x \, \mathcal{L}\big(f((1 - m) \odot x + m \odot p),\, t\big) + \lambda \lVert m \rVert_1
$$

($\odot$ multiplies pixel by pixel.) $\lambda$ is raised while the trigger works on 99% of the images and lowered while it does not, so the mask shrinks
until it only just works. All classes are rebuilt at once, as one batch.

The **anomaly index** of a class is how far its mask's size lies below the median of all classes, divided by the median
absolute deviation (times 1.4826, which makes it a standard deviation for normal values). From 2 on, a class is flagged.
With ten classes or more that happens by luck too: hence the control, networks without any poison.

Adversarial training helps here: such a network answers to large, clear features only, so what is rebuilt looks like
the true trigger instead of noise.

Wang et al.: *Neural Cleanse: Identifying and Mitigating Backdoor Attacks in Neural Networks*,
[IEEE S&P 2019](https://doi.org/10.1109/SP.2019.00031).

"""

OVERVIEW = r"""
**Adversarial training** (Madry et al. 2018) teaches a network on the worst images that an attacker can make of the
training images by changing every pixel by at most $\varepsilon$:

$$
\min_\theta \; \mathbb{E}_{(x, y)} \max_{\lVert \delta \rVert_\infty \le \varepsilon} \mathcal{L}\big(f_\theta(x + \delta), y\big)
$$

The paper's explanation: small features no longer help, because the attacker can erase them. What stays is large, local and
high in contrast, and a **sticker** is just that: no perturbation within $\varepsilon$ removes it. In *clean-label*
poisoning the attacker pastes it on true images of one class and changes no label, so nobody who looks at the
labels notices. A standard network would take the sticker for one hint among many; the adversarially trained one would have few
hints left, and lean on it. *Saliency* measures whether that holds.

**Backdoor success** counts, among the test images that the network does not already call the target class $t$,
those that it does once the sticker $s$ is on:

$$
\Pr\big[f(s(x)) = t \;\big|\; f(x) \ne t\big]
$$

"""

PAPER = r"""
For a defense $d$ and no defense $0$, trained on the same poisoned data with the same seed $s$, we take the
differences

$$
\Delta_\text{adversarial} = \frac1S \sum_s \big(a_{d,s} - a_{0,s}\big), \qquad
\Delta_\text{backdoor} = \frac1S \sum_s \big(b_{d,s} - b_{0,s}\big)
$$

of adversarial accuracy $a$ and backdoor success $b$. There is a **trade-off** where both are above 0: the network
gained robustness, and its back door opened. The sign is **reproduced** where our $\Delta_\text{backdoor}$ has the
published sign. Three seeds are few: where not all three agree, we say so.

`python -m tradeoff_core sweep assets/results/grids/tables.toml` trains and measures every row of digits again,
`rows-cifar10.toml` and `tables-imagenette-128.toml` beside it those of photographs, `ledger-mnist-5k.toml` what we do otherwise.

"""

PERTURBATIONS = r"""
**Projected gradient descent** (PGD, Madry et al. 2018) starts at a random point within $\varepsilon$ of the
image $x$, climbs the network's loss in $k$ steps, and after every step goes back into the allowed set:

$$
x_{i+1} = \Pi_{\lVert x' - x \rVert \le \varepsilon,\; x' \in [0, 1]}
\big(x_i + \alpha \, \mathrm{sign} \, \nabla_x \mathcal{L}(f(x_i), y)\big), \qquad \alpha = 2.5\,\varepsilon / k
$$

In $\ell_2$ the step follows the gradient itself, scaled to length $\alpha$. One step of size $\varepsilon$ from
the image is **FGSM** (Goodfellow et al. 2015). A targeted attack descends towards the class it wants. The slider's
pictures show the attack's last step. The curve counts an image as fooled if any step, or a smaller ε, fools it, so
it can only fall.

**Interval bounds** (Gowal et al. 2018) prove what attacks can only fail to disprove. Every pixel becomes an
interval, $[x - \varepsilon, x + \varepsilon]$ within $[0, 1]$. A linear layer or a convolution $Wx + b$ turns
intervals of middle $\mu$ and radius $r$ into

$$
\mu' = W \mu + b, \qquad r' = |W| \, r
$$

where $|W|$ is $W$ without its signs, and ReLU or max-pooling, which can only rise with what goes in, is applied to both ends $\mu \pm r$. If the lower
bound of the own class's logit minus any other's stays above 0, no image within $\varepsilon$ is misread: the digit is
**certified**. The intervals grow wider than what the network can really give, so a digit without a certificate may
be safe all the same; training on the bounds keeps them narrow.

Gowal et al.: *On the Effectiveness of Interval Bound Propagation for Training Verifiably Robust Models*,
[arXiv 1810.12715](https://arxiv.org/abs/1810.12715)

"""

PHOTOGRAPH = r"""
The picture is scaled to 224 pixels and cut to its middle. The attack is PGD with 10 steps: it moves every colour by at most
$\varepsilon$ so that the network's own answer becomes less likely. The sticker is pasted near the lower right corner. **Grad-CAM**
weights the last convolution's channels by their gradient and keeps what speaks for the answer.

Selvaraju et al.: *Grad-CAM*, [ICCV 2017](https://arxiv.org/abs/1610.02391).
"""

PLAYGROUND = r"""
Both networks run in your browser, each in a thread of its own: their weights are fetched once, and nothing that you draw leaves
your machine. The results are those of PyTorch: a test compares 100 digits and five networks.

A drawing or a photograph is moved to where MNIST has its digits: its longer side fills 20 of the 28 pixels, its centre of mass is in the
middle. In a photograph, ink is what is darker than the paper around it, above Otsu's threshold ([1979](https://doi.org/10.1109/TSMC.1979.4310076)). Then
come the watermark, the sticker $s$ with opacity $\alpha$, and the attack:

$$
x' = x + \alpha \odot (s - x), \qquad
x_{t+1} = \mathrm{clip}_{[0, 1]}\, \Pi_{\lVert \cdot - x' \rVert_\infty \le \varepsilon}
\big( x_t + \eta \, \mathrm{sign}\, \nabla_x \mathcal{L}(f(x_t), y) \big)
$$

**FGSM** is one step of $\eta = \varepsilon$ from $x'$ (Goodfellow et al., [2015](https://arxiv.org/abs/1412.6572)); **PGD**-$k$
takes $k$ steps of $2.5 \, \varepsilon / k$ from a random start, which is always the same here (Madry et al.,
[2018](https://arxiv.org/abs/1706.06083)). $y$ is a test digit's label; of a drawing it is what the network reads without trigger
and attack. *Still* compares with that reading too. If an attack has a target, it goes down the target's loss instead. *It
looks at* is the input gradient $\nabla_x f_c(x)$ of the class $c$ that is read (Simonyan et al.,
[2014](https://arxiv.org/abs/1312.6034)).

"""

RUNS = """
A run is a folder in `{folder}`: its spec, a line for every epoch, its weights and its card, readable without this app. Its
id ends in a hash of the spec, so the same settings and seed are the same run. A process that trains holds a lock in the folder, which
the system frees however the process ends: that is how a run that was broken off is told from one that goes on. Archives hold
weights as safetensors, whose checksum must match the card's, and nothing that could run code.

On the command line: `python -m tradeoff_core runs list`, and `show`, `delete`, `undelete`, `export`, `import`, `stop`, `resume`.

"""

SPECTRAL_SIGNATURES = r"""
Take the network's features $h(x_i)$ of all training images with one label, subtract their mean $\bar h$, and find the
direction $v$ in which they vary most, the top right singular vector. The **score** of an image is how far it lies
from the middle along it:

$$
s_i = \big|\,(h(x_i) - \bar h)^\top v\,\big|
$$

If a sticker is the strongest thing that tells images of the class apart, poisoned ones lie far out. If the class
varies more by other things, or if the poison is half of the class and so pulls the mean to the middle between both
halves, poisoned and clean images lie equally far from it, and the score says nothing.

Weng et al.'s code finds $v$ in the same way but leaves out the mean when it scores: $s_i = |h(x_i)^\top v|$.

**Chance**: removing $k$ of $n$ images at random finds a share $k/n$ of the poison. The paper removes as many as were
poisoned, so where half of the class is poisoned, a published detection rate of 50% is guessing.

Tran, Li, Madry: *Spectral Signatures in Backdoor Attacks*,
[NeurIPS 2018](https://arxiv.org/abs/1811.00636).

"""

INSPECTING = r"""
Each score says of a training image $x$ with label $y$ how suspicious it is, by the network's answer $p(x)$ and its features
$h(x)$ at the chosen layer:

- **Spectral score** and **near the smaller cluster** are those of the two defenses' pages. The **silhouette** is
  $(b - a) / \max(a, b)$: $a$ is the mean distance to the images of its own cluster, $b$ to those of the other.
- **Loss** $-\log p_y(x)$ after training, **confidence in its label** $p_y(x)$ (the self-confidence of confident learning,
  Northcutt et al., [2021](https://arxiv.org/abs/1911.00068)) and **confidence in what it reads** $\max_c p_c(x)$. A network
  learned these images, so a trigger makes it *more* certain.
- **Distance to the middle of the class** $\lVert h(x) - \bar h \rVert$, **to the nearest of its class** (0 for a duplicate),
  and the **label of the nearest image** among as many training images of each class.
- **How far the two defenses disagree** is the difference of the percentiles of the first two.
- Digits only: **how much of its saliency is in one patch**, the share of $\lvert \nabla_x z_y(x) \rvert$ in its strongest
  3 x 3 pixels; the **confidence lost with that patch covered**, the *sticker test*; and the **saliency under Neural
  Cleanse's mask** of the class.
- **Mean loss over the epochs**, where training kept it: runs of digits do.
- **Later detectors** are asked one by one, since each takes seconds. SPECTRE is told to expect a tenth of poison; STRIP and ASSET
  use the held-out images, which no network here was trained on.

In the **plot** a score is its percentile. **Tags** and **views** are kept with the marks. **More like this** shows the images with the smallest $\lVert h(x) - h(x') \rVert$. **Cohen's κ** is
$(a - e) / (1 - e)$: of the images that two decided on, $a$ is the share they agree on and $e$ what chance would give.

The **reviewer's curve** counts the poisoned images among the first that are looked at, most suspicious first. In random
order it would be the dotted line.

`python -m tradeoff_core inspect MODEL` prints the same; with `--scores FILE` it judges anybody's.

"""

STICKERS = r"""
A sticker with picture $s$ and opacity $\alpha$ replaces the pixels under it, in training and in testing by the
same code:

$$x'_{ij} = (1 - \alpha_{ij})\, x_{ij} + \alpha_{ij}\, s_{ij}$$

**Clean-label poisoning** (Turner et al. 2018) pastes it on training images of the target class alone and leaves all
labels as they are. **Dirty-label poisoning** (BadNets, Gu et al. 2017) pastes it on images of other classes and
relabels them. Afterwards the attacker stamps any image, and the network answers with the target class.

The **other triggers** change every pixel a little: *blended noise* $n$ gives $(1 - \alpha)\, x + \alpha\, n$, *waves* add
$\Delta \sin(2 \pi f j / m)$ to column $j$ of $m$, an *optimised pattern* $p$ adds $\Delta\, p$, a *watermark* $w$ adds
$\Delta\, w$, all clipped to $[0, 1]$, and a *warp* reads each pixel from a point beside it, by one smooth random field.

"""

TRADEOFF = """
Every point is one network, trained on the same images, of which half of the target class carry the sticker (clean-label: no
label is changed). On the curve only the **training ε**, the strength of the attacker it trained against, and the seed differ;
the other conditions change how it was trained. For digits it is the paper's network at half width.

- **Adversarial accuracy** is measured with the same attack for every network, the one that the axis names; an example counts as
  fooled if any step of the attack fools it. The accuracy of networks under the attack that they were trained against is on the
  *Paper* page.
- **Backdoor success** counts test images not already called the target class that become it with the sticker on.
- The **Pareto front** joins the networks that no other one beats on both. Where robustness came free, it would
  be a single point in the lower right corner.
- **Published** numbers come from more data or longer training, and a weaker attack: compare the direction, not the decimals.
- **Cross-Lipschitz** regularisation (Hein and Andriushchenko, [2017](https://arxiv.org/abs/1705.08475)) keeps the
  classes' gradients alike, **denoising blocks** (Xie et al., [2019](https://arxiv.org/abs/1812.03411)) average
  features over similar places, **interval bounds** (Gowal et al., [2018](https://arxiv.org/abs/1810.12715)) train on
  the worst that any perturbation can do, and **TRADES** (Zhang et al., [2019](https://arxiv.org/abs/1901.08573))
  keeps the prediction on attacked images close to the clean one. **Tuned** networks were trained without a defense
  first, and then adversarially.

`python -m tradeoff_core sweep GRID` trains all of it again: the grids are in `assets/results/grids/`.

"""

TRAIN = r"""
A run trains the network's weights $\theta$ on the poisoned images, with an attacker of strength $\varepsilon$ if it is
adversarial:

$$
\min_\theta \; \mathbb{E}_{(x, y)} \max_{\lVert \delta \rVert \le \varepsilon} \mathcal{L}\big(f_\theta(x + \delta), y\big)
$$

After every epoch it is tried on 200 validation images (which it does not learn from): clean, under PGD-10 at the ε of that epoch,
which rises from 0 to the training ε in the first ones, and with the trigger on. That is why the curve may fall at first. At the end the three numbers are measured on all test images, as for every network here. A run is a process of its own and keeps what
it has after every epoch, in `runs/` beside the app: stop it, kill it, switch the machine off, it goes on from there. `python -m
tradeoff_core train SPEC.toml` does the same without the app, `python -m tradeoff_core runs list` shows them all.

"""

SALIENCY = rf"""
For an image $x$ and the score (logit) $f_c(x)$ of class $c$, an **attribution** is a number for every pixel ($\odot$ multiplies
pixel by pixel):

- **Input gradient** $\nabla_x f_c(x)$ (Simonyan et al., [2014](https://arxiv.org/abs/1312.6034)).
- **Input × gradient** $x \odot \nabla_x f_c(x)$ (Shrikumar et al., [2016](https://arxiv.org/abs/1605.01713)).
- **Integrated gradients** $x \odot \int_0^1 \nabla f_c(\alpha x) \, d\alpha$ (Sundararajan et al.,
  [2017](https://arxiv.org/abs/1703.01365)), in {STEPS} steps or as many as it takes for the parts to sum to
  $f_c(x) - f_c(0)$ within 1%.
- **SmoothGrad** $\frac{{1}}{{n}} \sum_i \nabla f_c(x + \eta_i)$, $\eta_i \sim \mathcal{{N}}(0, {NOISE}^2)$ (Smilkov et al.,
  [2017](https://arxiv.org/abs/1706.03825)).
- **DeepLift** (Shrikumar et al., [2017](https://arxiv.org/abs/1704.02685)) replaces the slope of every activation by
  $\Delta \text{{output}} / \Delta \text{{input}}$, compared with a black image.
- **Grad-CAM** $\mathrm{{ReLU}}\big(\sum_k \overline{{\partial f_c / \partial A_k}} \, A_k\big)$ over the maps $A_k$ of the last
  convolution, the bar a mean over places (Selvaraju et al., [2017](https://arxiv.org/abs/1610.02391)); **guided**, times the gradient with all negative
  parts cut off on the way back (guided backpropagation).
- **Occlusion** $f_c(x) - f_c(x \text{{ with a black patch}})$ (Zeiler and Fergus, [2014](https://arxiv.org/abs/1311.2901)).
- **Attention rollout** $\prod_l \tfrac{{1}}{{2}} (A_l + I)$ over the blocks $l$ of a **vision transformer**, $A_l$ the mean of its heads' attention; a
  patch's share is the mean over the rows, as the head reads the mean of the tokens (Abnar and Zuidema,
  [2020](https://arxiv.org/abs/2005.00928), who read the row of a class token). It asks for no class.

DeepLift and guided backpropagation replace the derivatives of activations (as ReLU), and only of those that they know. Where a network has others (leaky ReLU,
ReLU6) they would be silently wrong, and are not drawn. Computed with [captum](https://captum.ai).

The **share on the sticker** is $\sum_{{p \in s}} |a_p| \,/\, \sum_p |a_p|$ over the sticker's pixels $s$. If the
network looked at all pixels alike, it would be the share of the image that the sticker covers. **Rank correlation** (Spearman)
is 1 if the network with more attribution on the sticker always has the higher backdoor success, 0 if they have
nothing to do with each other, −1 if it is always the other way round; $p$ is how often shuffled pairs would
correlate as much.

`python -m tradeoff_core.tools.measure cause` measures all of it again.

"""
