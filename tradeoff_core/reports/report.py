"""The report of a run, or of several beside each other: one HTML file with figures, tables, specs, versions and commands."""

import json
import shlex
from collections.abc import Callable, Sequence
from html import escape
from pathlib import Path
from string import Template

from plotly.offline import get_plotlyjs

from tradeoff_core import figures
from tradeoff_core.common.names import plain
from tradeoff_core.datasets import Split, available, load_dataset, to_tensor, to_uint8
from tradeoff_core.experiments.run_folder import RunFolder
from tradeoff_core.experiments.spec import flat
from tradeoff_core.figures.exports import as_toml, toml_name
from tradeoff_core.figures.pictures import as_uris
from tradeoff_core.models.compared import called, describe, kind_of_trigger
from tradeoff_core.models.zoo import Model, load_network
from tradeoff_core.networks import inference
from tradeoff_core.rates import Rate
from tradeoff_core.reports.versions import versions

RATES = ("Clean accuracy", "Adversarial accuracy", "Backdoor success")
PICTURES, ENLARGED = 8, 84  # test images with the trigger on, and how wide in pixels


def report(models: Sequence[Model]) -> str:
    """The file's text for finished runs or shipped models, each with a name of its own. Raises TradeoffError for damaged ones."""
    names = _names(models)
    drawn = {"rates": figures.rates_compared({name: rates_of(model) for name, model in names.items()})}
    progress = {
        name: [dict(epoch) for epoch in epochs]
        for name, model in names.items()
        if (epochs := RunFolder(model.folder).epochs())
    }
    if progress:
        drawn["curves"] = figures.compared_curves(progress)
    body = [_rates(names), _plot("The three numbers", "rates")]
    body += [_plot("While it was trained", "curves")] if progress else []
    body += [_differences(names)] if len(models) > 1 else []
    body += [_stamped(name, model) for name, model in names.items()]
    sent = {name: json.loads(figure.for_print().to_json()) for name, figure in drawn.items()}
    title = (
        f"Report: {next(iter(names))}"
        if len(models) == 1
        else f"Report: {len(models)} runs beside each other"
    )
    template = Template(Path(__file__).with_name("report.html").read_text(encoding="utf-8"))
    return template.substitute(
        title=escape(title),
        told=_told(names),
        plotly=get_plotlyjs(),
        body="\n".join(body),
        figures=json.dumps(sent).replace("</", "<\\/"),
        commands="".join(_commands(name, model) for name, model in names.items()),
        versions=escape(f"This report was made with {versions()}."),
    )


def rates_of(model: Model) -> tuple[Rate, Rate, Rate]:
    """The three rates of a model's card."""
    return model.clean_accuracy, model.adversarial_accuracy, model.backdoor_success_rate


def _names(models: Sequence[Model]) -> dict[str, Model]:
    """What each is called: in words, and by its id too where words do not tell two apart."""
    words = [describe(model) for model in models]
    return {
        f"{word}, {plain(model.id)}" if words.count(word) > 1 else word: model
        for word, model in zip(words, models, strict=True)
    }


def _told(names: dict[str, Model]) -> str:
    """The runs in a sentence each."""
    return escape(
        " ".join(
            f"{name}: {model.adversarial_accuracy.value:.0%} of {model.adversarial_accuracy.n:,} test images withstand "
            f"{model.spec.evaluation}; the {kind_of_trigger(model)} succeeds on {_share(model.backdoor_success_rate)}."
            for name, model in names.items()
        )
    )


def _share(rate: Rate) -> str:
    return f"{rate.value:.0%} of {rate.n:,}" if rate.n else "none, for all are called the target already"


def _table(names: Sequence[str], rows: Sequence[tuple[str, Sequence[str]]]) -> str:
    """A column a run; the cells are HTML."""
    head = "".join(f'<th scope="col">{escape(name)}</th>' for name in names)
    body = "".join(
        f'<tr><th scope="row">{escape(title)}</th>{"".join(f"<td>{cell}</td>" for cell in cells)}</tr>'
        for title, cells in rows
    )
    return (
        f'<div class="wide"><table><thead><tr><td></td>{head}</tr></thead><tbody>{body}</tbody></table></div>'
    )


def _rates(names: dict[str, Model]) -> str:
    rates = list(zip(*map(rates_of, names.values()), strict=True))
    rows = [(title, [_cell(rate) for rate in measured]) for title, measured in zip(RATES, rates, strict=True)]
    facts: tuple[tuple[str, Callable[[Model], str]], ...] = (
        ("Attack", lambda model: str(model.spec.evaluation)),
        ("Data set", lambda model: model.spec.dataset),
        ("Poisoned, of the class", lambda model: f"{model.card.poison_rate_class:.1%}"),
        ("Poisoned, of all", lambda model: f"{model.card.poison_rate_dataset:.1%}"),
        ("Seed", lambda model: str(model.spec.seed)),
        ("Beware", lambda model: "; ".join(model.card.metrics.get("warnings", [])) or "–"),
        ("Weights, SHA-256", lambda model: f"{model.sha256[:16]}…"),
        ("Trained on", lambda model: model.card.hardware or "–"),
        (
            "Trained with",
            lambda model: ", ".join(f"{key} {value}" for key, value in (model.card.versions or {}).items()),
        ),
    )
    rows += [(title, [escape(say(model)) for model in names.values()]) for title, say in facts]
    return f"<h2>In numbers</h2>{_table([*names], rows)}"


def _cell(rate: Rate) -> str:
    if not rate.n:
        return "–"
    low, high = rate.interval
    return f"<b>{rate.value:.1%}</b><small>{rate.count:,} of {rate.n:,}, {low:.1%}–{high:.1%}</small>"


def _differences(names: dict[str, Model]) -> str:
    """The fields in which the specs differ."""
    fields = [flat(model.card.spec) for model in names.values()]
    keys = sorted(
        {key for one in fields for key in one if len({str(other.get(key)) for other in fields}) > 1}
    )
    rows = [(key, [escape(str(one.get(key, "–"))) for one in fields]) for key in keys]
    return f"<h2>Where the specs differ</h2>{_table([*names], rows)}"


def _plot(title: str, name: str) -> str:
    return f'<h2>{title}</h2><div class="plot" id="{name}"></div>'


def _stamped(name: str, model: Model) -> str:
    """Test images with the model's trigger on, and what it reads; nothing where the pictures are not on this machine."""
    if not available(model.spec.dataset):
        return ""
    data, network = load_dataset(model.spec.dataset, Split.TEST).spread(PICTURES), load_network(model)
    images = model.spec.trigger.apply(to_tensor(data.images))
    read = inference.predicted_classes(network, images)
    shown = "".join(
        f'<figure><img src="{uri}" width="{ENLARGED}" alt="Test image with the trigger on">'
        f"<figcaption>{escape(called(model, label))}, read as {escape(called(model, said))}</figcaption></figure>"
        for uri, label, said in zip(
            as_uris(to_uint8(images), ENLARGED), data.labels.tolist(), read.tolist(), strict=True
        )
    )
    return f'<h2>{escape(name)}: with the {kind_of_trigger(model)} on</h2><div class="pictures">{shown}</div>'


def _commands(name: str, model: Model) -> str:
    """What measures a model again, and what trains it again from its spec."""
    measure = escape(f"python -m tradeoff_core evaluate {shlex.quote(model.id)}")
    train = escape(f"python -m tradeoff_core train {shlex.quote(toml_name(model.spec))}")
    spec = escape(as_toml(model.spec))
    return f"<h3>{escape(name)}</h3><pre>{measure}\n{train}</pre><p>{escape(toml_name(model.spec))}, its spec:</p><pre>{spec}</pre>"
