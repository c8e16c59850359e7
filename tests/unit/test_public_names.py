import importlib

import logos_core


def test_every_public_name_is_importable_sorted_and_at_home_where_it_says():
    homes = {name: getattr(importlib.import_module(home), name) for name, home in logos_core._HOME_OF.items()}

    assert sorted(logos_core.__all__) == logos_core.__all__
    assert {name: getattr(logos_core, name) for name in logos_core.__all__} == homes
