"""The table of runs that a reader takes along."""

import csv
import io
import json

from tradeoff_core.experiments.spec import spec_from_dict
from tradeoff_core.findings import results


def test_each_run_has_its_epochs_its_whole_recipe_and_whether_it_is_yours():
    runs = results.curve("mnist-5k")[:3]
    lines = list(csv.DictReader(io.StringIO(results.as_csv(runs, {runs[1].name}))))
    assert [line["yours"] for line in lines] == ["False", "True", "False"]
    for line, run in zip(lines, runs, strict=True):
        assert int(line["epochs"]) == run.spec.epochs
        assert spec_from_dict(json.loads(line["recipe"])) == run.spec
