import time

from cascade.errors import close_matches, did_you_mean


def test_close_matches_ignore_case_and_come_best_first():
    assert close_matches("SHOE", ["shirt", "Shoes", "shop"])[0] == "Shoes"
    assert did_you_mean("qqq", ["shirt"]) == ""
    assert did_you_mean("shrt", ["shirt"]) == " (did you mean 'shirt'?)"


def test_among_many_options_the_close_one_is_still_found_quickly():
    options = [f"N{i:07}" for i in range(300_000)] + ["straw-hat", "bowler"]
    started = time.process_time()
    assert close_matches("straw-hatt", options) == ["straw-hat"]
    assert close_matches("fowler", options) == ["bowler"]
    assert close_matches("N00x0100", options)
    assert time.process_time() - started < 3
