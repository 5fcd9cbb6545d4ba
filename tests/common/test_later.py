"""Fields that came later leave the documents, and so the ids, of older specs as they were."""

from dataclasses import dataclass, field

from tradeoff_core.common.later import LATER, document
from tradeoff_core.experiments.presets import PRESETS
from tradeoff_core.experiments.spec import changed, spec_from_dict, spec_to_dict

NEW = {
    "images": 900,
    "poison.first": True,
    "evaluation.last_iterate": True,
    "training.lipschitz_squared": 1e-4,
}


@dataclass(frozen=True)
class Inner:
    one: int = 1
    late: bool = field(default=False, metadata=LATER)


@dataclass(frozen=True)
class Outer:
    inner: Inner | None = None
    late: int = field(default=3, metadata=LATER)


def test_a_later_field_is_in_the_document_only_where_it_is_not_at_its_default():
    assert document(Outer(Inner())) == {"inner": {"one": 1}}
    assert document(Outer(Inner(late=True), late=4)) == {"inner": {"one": 1, "late": True}, "late": 4}
    assert document(Outer()) == {}


def test_each_new_field_makes_another_run_and_survives_the_way_to_a_file_and_back():
    usual = PRESETS["standard"]
    for name, value in NEW.items():
        document = changed(spec_to_dict(usual), [f"{name}={str(value).lower()}"])
        spec = spec_from_dict(document)
        assert spec.id != usual.id, name
        assert spec_from_dict(spec_to_dict(spec)) == spec
