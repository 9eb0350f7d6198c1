import cascade
import cascade.errors


def test_dir_shows_public_names_only_also_after_submodules_were_imported():
    assert "errors" in vars(cascade)
    assert dir(cascade) == sorted([*cascade.__all__, "__version__"])


def test_every_public_name_is_there_and_described():
    assert all(getattr(cascade, name).__doc__ for name in cascade.__all__)


def test_an_unknown_name_is_an_attribute_error():
    assert not hasattr(cascade, "clasify")
