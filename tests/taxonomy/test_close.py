import time

from cascade.taxonomy.close import close_matches, hint


def test_close_matches_ignore_case_and_come_best_first():
    assert close_matches("SHOE", ["shirt", "Shoes", "shop"])[0] == "Shoes"
    assert hint("qqq", ["shirt"]) == ""
    assert hint("shrt", ["shirt"]) == " (did you mean 'shirt'?)"


def test_among_many_options_the_close_one_is_still_found_quickly():
    options = [f"N{i:07}" for i in range(300_000)] + ["straw-hat", "bowler"]
    started = time.process_time()
    assert close_matches("straw-hatt", options) == ["straw-hat"]
    assert close_matches("fowler", options) == ["bowler"]
    assert close_matches("N00x0100", options)
    assert time.process_time() - started < 3
