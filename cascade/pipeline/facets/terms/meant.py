"""What words mean beside others: pepper as a spice, drinks in cakes, ages of babies."""

from __future__ import annotations

import re

from cascade.pipeline.facets.kinds import with_plant_milk

_I = re.IGNORECASE
_FOOD = (
    r"(?:trifles?|cakes?|chicken|duck|puddings?|sauces?|truffles?|custard|ice cream|syllabub|sorbet"
    r"|mousse|tarts?|soufflé|souffle|babas?|fudge|marmalade|gravy|jelly|jellies)"
)
DRINK_IN_FOOD = re.compile(
    r"\b(sherry|brandy|rum|port|wine|beer|cider|whisk(?:e?y|ies)|marsala|cognac|vodka|champagne|stout)"
    rf"\s+({_FOOD})\b",
    _I,
)
RUM_AND_RAISIN = re.compile(r"^rum\s*(?:and|&|n)?\s*raisins?\s+(\w[^,;]*)", _I)
FRUIT_PUREE = re.compile(
    r"^(apple|pear|plum|peach|apricot|mango|banana|strawberry|raspberry|quince)\s+pur[ée]e"
    r"(?=\s*(?:$|,|with))",
    _I,
)
SCOTCH = re.compile(  # of Scotland, before what is no whisky
    r"\bscotch\s+(?=(?:beef|lamb|salmon|pies?|eggs?|broth|pancakes?|mist|woodcock|trout|oats?)\b)",
    _I,
)
PEPPERED = re.compile(
    r"^(?:(?P<salt>(?:sea\s+)?salt)\s*(?:and|&|'?n'?)\s*)?(?:peppered|(?:(?:cracked|crushed"
    r"|ground)\s+)?black\s+pepper(?:ed)?|(?<=\s)pepper|pepper(?=\s+(?:steaks?|salami|crackers?|crisps|chips|mackerel|ham|"
    r"pât[eé]|crust\w*|beef)\b))\s+(?P<food>(?!corns?\b|mill|ground\b|powder\b|mix\b|lea(?:f|ves)\b|and\b"
    r"|whole\b|or\b|from\b|sauce\b)\w[^,;]*)",
    _I,
)
SPICE = re.compile(
    r"(?P<before>\bsalt\s*(?:and|&|'?n'?|,)\s*|\b(?:with|in)\s+)(?:ground\s+)?pepper\b(?!\s*(?:,|and\b|&|or\b)"
    r"\s*(?!salt)\w|\s+sauce)",
    _I,
)
VEGETABLE = re.compile(
    r"\b(?:pizza|salad|omelett?e|stir|fajitas?|kebabs?|couscous|ratatouille|quiche|stuffed|paella|tortilla)\b",
    _I,
)
VITAMINS = re.compile(  # several, of which each is one
    r"\bvitamins?\s+(?P<first>[A-K]\d{0,2})(?P<more>(?:\s*(?:,|and|&|\+|/)\s*(?:and\s+)?[A-K]\d{0,2}\b)+)"
)
FORTIFIED = re.compile(r"\b(?:fortified|enriched)\s+with\b", _I)  # what with says enough
VITAMIN_A = re.compile(r"\bvitamin A\b")  # `a` says nothing
_MONTHS = r"(?:months?|mths?|mo|mos|monate?n?|mois|mesi|mese|meses|mês|miesi[aą]c\w*|m)"
_SINCE = (
    r"(?:from|after|over|for|ab|dès|des|à partir de|a partir d[eo]s?(?: los)?|dai|da|dal"
    r"|desde(?: los)?|od|po|"
    r"suitable from)"
)
AGE = re.compile(
    rf"[,(]?\s*(?:\b{_SINCE}\s+(?:the\s+|dem\s+)?(?:[4-9]|1[0-8])\s*\.?"
    rf"\s*(?:th)?\s*\+?\s*{_MONTHS}\b\+?"
    rf"|\b(?:[4-9]|1[0-8])\s*\+\s*{_MONTHS}\b"
    rf"|\b(?:[4-9]|1[0-8])\s*{_MONTHS}\s*(?:\+|plus\b|and over\b)"
    rf"|\b[4-9]\s*-\s*(?:[6-9]|1[0-8])\s*{_MONTHS}\b|\bstage\s*[1-4]\b)\)?",
    _I,
)
JAR = re.compile(r"\bpetits?[\s-]pots?\b(?!\s+(?:de\s+)?cr[eè]me)(?:\s+(?:de|d'|pour))?", _I)
RIPENED = re.compile(
    r"\b(?:aged|matured?|ripened|cured|old|stagionat\w|affin\w+|gereift\w*|curad[oa]s?|"
    r"parmi\w+|parmesan|prosciutto|jam[oó]n|comté|gouda|cheddar|pregnan\w+)\b",
    _I,
)
BABY = re.compile(r"\b(?:bab(?:y|ies)|infants?|toddlers?|children|formula\w*|follow|milks?)\b", _I)
DAIRY = re.compile(r"\b(?:yogh?urts?|quark|fromage frais|skyr|dairy dessert)\b", _I)
EATER = re.compile(r"\b(?:for\s+)?(?:bab(?:y|ies)|infants?|toddlers?)(?:\s+food)?\b", _I)
WITH = re.compile(r"^[\s,;]*with\b|\bwith[\s,;]*$", _I)
CEREAL = re.compile(r"\b(?:porridge|cereals?|biscuits?|rusks?|puffs?)\b", _I)
FOR_BABIES = re.compile(
    r"\b(?:juices?|teas?|biscuits?|rusks?|puffs?|porridge|puree|purée|pasta|cereals?)\b",
    _I,
)


def without_age(text: str) -> tuple[str, bool]:
    """A text without an age of babies and small jars, and whether it had one."""
    if RIPENED.search(text) or not (AGE.search(text) or JAR.search(text)):
        return text, False
    kept = " ".join(JAR.sub(" ", AGE.sub(" ", text)).split()).strip(" ,;-(")
    return (kept, True) if kept else (text, True)


def for_babies(text: str) -> str:
    """A food in English as one for babies: `baby food carrots`, `apple juice for babies`."""
    if found := DAIRY.search(text):
        rest = f"{text[: found.start()]} {text[found.end() :]}"
        rest = WITH.sub("", " ".join(EATER.sub(" ", rest).split())).strip(" ,;")
        return f"baby yogurt with {rest}" if rest else "baby yogurt"
    if BABY.search(text):
        return text
    if found := CEREAL.search(text):
        rest = f"{text[: found.start()]} {text[found.end() :]}"
        return " ".join(f"baby {found[0]} {rest}".split())
    return f"{text} for babies" if FOR_BABIES.search(text) else f"baby food {text}"


def _each_vitamin(found: re.Match[str]) -> str:
    more = re.findall(r"[A-K]\d{0,2}", found["more"])
    return " and ".join(f"vitamin {own}" for own in (found["first"], *more))


def as_meant(text: str) -> str:
    """A text in English with words for what they mean beside others.

    Pepper with salt, or on a steak, is the spice; sherry in a trifle comes with it, and Scotch
    before a food is no whisky.
    """
    text = FORTIFIED.sub("with", text)
    if "vitamin" in text.casefold():
        text = VITAMIN_A.sub("vitamin retinol", VITAMINS.sub(_each_vitamin, text))
    text = RUM_AND_RAISIN.sub(r"\1 with rum and raisins", text)
    text = FRUIT_PUREE.sub(r"fruit puree, \1", text)
    text = with_plant_milk(DRINK_IN_FOOD.sub(r"\2 with \1", SCOTCH.sub("", text)))
    if "pepper" not in text.casefold():
        return text
    if found := PEPPERED.match(text):
        salt = "salt and " if found["salt"] else ""
        return f"{found['food'].strip()} with {salt}black pepper{text[found.end() :]}"
    return text if VEGETABLE.search(text) else SPICE.sub(r"\g<before>black pepper", text)
