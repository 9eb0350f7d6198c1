"""Names of things made titles of a shop: brands, teams, models, colours, sizes around them.

A title is mostly words that say nothing of where the thing belongs. An encoder learns to look past
them by seeing the same thing under many titles. All words here are general or made up.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

SYLLABLES = [c + v for c in "bcdfgklmnprstvz" for v in "aeio"]
ENDS = ("n", "x", "r", "s", "l", "", "tek", "co", "via", "line")


def _words(text: str) -> tuple[str, ...]:
    return tuple(word.strip() for word in text.split(","))


PEOPLE = _words(
    "Anna, Ben, Carlos, Clara, Daniel, David, Ella, Emma, Frank, George, Hannah, Harry, Jack,"
    " James, Jane, Julia, Kate, Laura, Leo, Lucy, Maria, Mark, Martin, Max, Mia, Nina, Oliver,"
    " Oscar, Paul, Peter, Rosa, Sam, Sarah, Sofia, Steve, Thomas, Tom, Victoria, William, Zoe,"
    " Baker, Carter, Cooper, Fischer, Garcia, Johnson, Keller, Martinez, Miller, Morgan,"
    " Parker, Rossi, Smith, Taylor, Walker, Weber, Wilson, Young"
)
PLACES = _words(
    "Alaska, Arizona, Austin, Bavaria, Berlin, Boston, Brooklyn, California, Cambridge,"
    " Carolina, Chicago, Colorado, Dakota, Dallas, Denver, Dublin, Florida, Georgia, Hawaii,"
    " Houston, Indiana, Iowa, Italy, Japan, Kansas, Kyoto, London, Madrid, Memphis, Miami,"
    " Michigan, Milano, Montana, Nashville, Nevada, New York, Norway, Ohio, Oregon, Oxford,"
    " Paris, Phoenix, Portland, Rio, Seattle, Sydney, Texas, Tokyo, Toronto, USA, Utah,"
    " Vermont, Vienna, Virginia"
)
TEAMS = _words(
    "Aces, Badgers, Bears, Bulls, City, Cougars, Ducks, Eagles, Falcons, Foxes, Giants,"
    " Hawks, Hornets, Huskies, Jets, Kings, Knights, Lions, Owls, Panthers, Pirates, Rams,"
    " Rangers, Raiders, Ravens, Rockets, Sharks, Spartans, State, Tigers, Titans, United,"
    " University, Vikings, Warriors, Wildcats, Wolves"
)
WEARERS = _words(
    "men's, mens, women's, womens, ladies, kids, boys, girls, youth, baby, infant, toddler,"
    " unisex, adult, junior, for men, for women, for kids, for him, for her, for dogs, for"
    " home, for travel, for beginners"
)
COLOURS = _words(
    "black, white, red, blue, green, grey, gray, navy, pink, purple, orange, yellow, brown,"
    " beige, gold, silver, ivory, teal, maroon, charcoal, turquoise, multicolor, rose gold,"
    " royal blue, dark green, natural, clear"
)
MATERIALS = _words(
    "leather, cotton, steel, stainless steel, wooden, oak, bamboo, plastic, silicone,"
    " ceramic, glass, brass, copper, aluminium, nylon, wool, linen, silk, mesh, rubber,"
    " carbon, organic, sterling silver, canvas, velvet"
)
PLAIN = _words(
    "new, classic, premium, original, deluxe, pro, mini, large, small, assorted, vintage,"
    " modern, printed, striped, logo, slim, slim fit, long, short, soft, heavy duty, portable,"
    " wireless, digital, electric, automatic, adjustable, foldable, waterproof, handmade,"
    " personalized, custom, luxury, basic, sport, performance, outdoor, professional, compact,"
    " ultra, super, smart, double, single, left, right, rear, front, refill, replacement,"
    " complete, limited edition, series, collection, style, design, official, authentic,"
    " anniversary"
)
THEMES = _words(
    "Christmas, Halloween, Easter, birthday, wedding, summer, winter, spring, autumn, dragon,"
    " unicorn, butterfly, skull, rose, star, moon, sun, ocean, forest, mountain, rainbow,"
    " heart, flower, music, rock, jazz, space, princess, pirate, robot, dinosaur, cat, dog,"
    " horse, bird, tiger, lion, wolf, coffee, pizza, camo, floral"
)
SIZES = (
    "{n} g", "{n} kg", "{n} ml", "{n} l", "{n} oz", "{n} cm", "{n} inch", "{n}mm", "{n} pack",
    "pack of {n}", "set of {n}", "{n} pcs", "{n} x {m} cm", "size {n}", "XL", "L", "M", "S", "XXL",
    "{n}W", "{n}V", "{n} count", "{n} GB", "{n}-piece", "{n} ft", "{n}\"", "{n}x{m}",
    "({n} pk)", "no. {n}",
)  # fmt: skip
ENDINGS = ("free shipping", "best price", "sale", "new in box", "gift", "bundle", "kit", "2 for 1")


def title_of(name: str, rng: np.random.Generator) -> str:
    """A title of a shop for the thing of that name."""

    def some(words: tuple[str, ...]) -> str:
        return str(rng.choice(words))

    def brand() -> str:
        made = "".join(rng.choice(SYLLABLES, int(rng.integers(2, 4)))) + some(ENDS)
        return made.upper() if rng.random() < 0.2 else made.capitalize()

    def team() -> str:
        return f"{some(PLACES)} {some(TEAMS)}"

    def model() -> str:
        letters = "".join(rng.choice(list("ABCDEFGHKLMNPRSTVWXZ"), int(rng.integers(1, 4))))
        return (
            f"{letters}{some(('', '-', ' '))}{int(rng.integers(2, 9999))}{some(('', '', 'B', 'X'))}"
        )

    def person() -> str:
        return " ".join(rng.choice(PEOPLE, int(rng.integers(1, 3))))

    def size() -> str:
        n, m = (int(x) for x in rng.integers(1, 60, 2))
        return some(SIZES).format(n=n, m=m)

    first: list[Callable[[], str]] = [brand, brand, team, person, lambda: some(PLACES)]
    middle: list[Callable[[], str]] = [
        model, lambda: some(THEMES), lambda: some(PLAIN), lambda: some(PLAIN),
        lambda: some(COLOURS), lambda: some(MATERIALS), lambda: some(WEARERS),
    ]  # fmt: skip
    last: list[Callable[[], str]] = [
        size, size, model, lambda: some(COLOURS), lambda: some(WEARERS), lambda: some(PLAIN),
        lambda: some(ENDINGS),
    ]  # fmt: skip

    def drawn(makers: list[Callable[[], str]], most: int) -> list[str]:
        return [
            makers[int(rng.integers(len(makers)))]() for _ in range(int(rng.integers(most + 1)))
        ]

    before = drawn(first, 2) + drawn(middle, 4)
    after = drawn(last, 3)
    if rng.random() < 0.6:
        name = singular(name)
    link = [some(("-", ",", "|", "by", "with", "in"))] if after and rng.random() < 0.3 else []
    title = " ".join([*before, name, *link, *after])
    return title.title() if rng.random() < 0.3 else title


def singular(name: str) -> str:
    """The name of one, as far as its last letters tell."""
    if not name.endswith("s") or name.endswith(("ss", "us", "is", "as")) or len(name) < 4:
        return name
    if name.endswith("ies") and len(name) > 5:
        return name[:-3] + "y"
    return name[:-2] if name.endswith(("sses", "shes", "ches", "oxes")) else name[:-1]
