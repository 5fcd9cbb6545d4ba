"""The rows of the paper that only attack a network which is trained already."""

from dataclasses import replace

import pytest

from tradeoff_core.attacks.attack import Norm
from tradeoff_core.datasets import Split, load_dataset
from tradeoff_core.evaluation.outcomes import evaluate
from tradeoff_core.experiments.spec import spec_from_dict
from tradeoff_core.findings import conditions, our_rows, paper_tables, results
from tradeoff_core.models import zoo
from tradeoff_core.tools.measure import attacks
from tradeoff_core.tools.measure.lines import holds


def test_the_attacks_are_those_of_the_grid_that_the_defended_networks_are_measured_with():
    measured = attacks.attacks()
    assert set(measured) == {"standard-fgsm", "standard-l2"}
    fgsm, l2 = measured["standard-fgsm"], measured["standard-l2"]
    assert (fgsm.steps, fgsm.targeted, fgsm.random_start) == (1, True, False)
    assert l2.norm is Norm.L2
    assert set(measured) < set(our_rows.MEASURED.values())


def test_of_the_zoo_the_undefended_networks_of_imagenets_rows_are_attacked():
    chosen = {name for name in zoo.model_ids() if attacks.is_undefended(zoo.find_model(name))}
    names = {f"{dataset}-clean-label-standard" for dataset in our_rows.HERE["imagenet"]}
    assert chosen == names & set(zoo.model_ids())
    assert chosen


def test_a_line_is_as_a_sweeps_under_the_rows_attack(finished_run):
    model = zoo.find_model(str(finished_run))
    images, labels = load_dataset(model.spec.dataset, Split.TEST).tensors()
    for line in attacks.lines(model):
        attack = attacks.attacks()[line["name"]]
        assert holds(line, model)
        assert spec_from_dict(line["spec"]) == replace(model.spec, second_evaluation=attack)
        outcomes = evaluate(zoo.load_network(model), images, labels, model.spec.trigger, attack)
        run = results._run(line)
        assert run.second_accuracy == outcomes.adversarial_accuracy()
        assert run.backdoor_success_rate == model.backdoor_success_rate


def test_a_trained_run_is_taken_before_one_that_was_only_attacked(monkeypatch):
    def run(name: str) -> results.Run:
        return replace(results.sweep("tables", "mnist-5k")[0], name=name, condition="standard-l2")

    sweeps = {"tables": (run("trained"),), "attacked": (run("attacked"),)}
    monkeypatch.setattr(results, "sweep", lambda name, _: sweeps.get(name, ()))
    runs_of = conditions.runs_of.__wrapped__
    assert [one.name for one in runs_of("standard-l2", "x")] == ["trained"]
    del sweeps["tables"]
    assert [one.name for one in runs_of("standard-l2", "x")] == ["attacked"]
    assert runs_of("standard-fgsm", "x") == ()


@pytest.mark.parametrize("table", ["supplement-2", "supplement-3"])
def test_the_rows_say_what_attacked_their_network(table):
    for row in paper_tables.rows(table):
        if row.dataset == "imagenet" and row.runs:
            spec = row.runs[0].spec
            assert f"attacked with {spec.second_evaluation or spec.evaluation}" in row.differs
