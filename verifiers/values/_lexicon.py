# ruff: noqa: SIM905, RUF001 - word lists are easier to read and extend as text
"""The words the value parser knows. English; figures and symbols work in any language."""

from __future__ import annotations

import re

from verifiers.ranking import stem

SMALL = {
    "zero": 0, "one": 1, "two": 2, "three": 3, "four": 4, "five": 5, "six": 6, "seven": 7,
    "eight": 8, "nine": 9, "ten": 10, "eleven": 11, "twelve": 12, "thirteen": 13,
    "fourteen": 14, "fifteen": 15, "sixteen": 16, "seventeen": 17, "eighteen": 18,
    "nineteen": 19,
}  # fmt: skip
TENS = {
    "twenty": 20, "thirty": 30, "forty": 40, "fifty": 50, "sixty": 60, "seventy": 70,
    "eighty": 80, "ninety": 90,
}  # fmt: skip
SCALES = {
    "hundred": 1e2, "thousand": 1e3, "lakh": 1e5, "lakhs": 1e5, "million": 1e6,
    "millions": 1e6, "mn": 1e6, "mln": 1e6, "crore": 1e7, "crores": 1e7, "billion": 1e9,
    "billions": 1e9, "bn": 1e9, "trillion": 1e12, "tn": 1e12, "trn": 1e12, "dozen": 12.0,
}  # fmt: skip
# Stuck to the figure: 3.5M, 20k. Lower-case m and b are metres and bits unless money.
SUFFIXES = {"k": 1e3, "K": 1e3, "M": 1e6, "B": 1e9, "T": 1e12, "bn": 1e9, "mn": 1e6, "tn": 1e12}
MONEY_SUFFIXES = {**SUFFIXES, "m": 1e6, "b": 1e9, "t": 1e12}

ORDINALS = {
    "first": 1, "second": 2, "third": 3, "fourth": 4, "fifth": 5, "sixth": 6, "seventh": 7,
    "eighth": 8, "ninth": 9, "tenth": 10, "eleventh": 11, "twelfth": 12, "thirteenth": 13,
    "fourteenth": 14, "fifteenth": 15, "sixteenth": 16, "seventeenth": 17, "eighteenth": 18,
    "nineteenth": 19, "twentieth": 20, "thirtieth": 30, "fortieth": 40, "fiftieth": 50,
    "hundredth": 100,
}  # fmt: skip
FRACTIONS = {
    "half": 2, "halves": 2, "third": 3, "thirds": 3, "quarter": 4, "quarters": 4, "fourth": 4,
    "fourths": 4, "fifth": 5, "fifths": 5, "sixth": 6, "sixths": 6, "eighth": 8, "eighths": 8,
    "tenth": 10, "tenths": 10,
}  # fmt: skip

MONTHS = {
    name: number
    for number, names in enumerate(
        (
            "january jan", "february feb", "march mar", "april apr", "may", "june jun",
            "july jul", "august aug", "september sept sep", "october oct", "november nov",
            "december dec",
        ),
        1,
    )
    for name in names.split()
}  # fmt: skip
WEEKDAYS = {
    name: number
    for number, name in enumerate(
        ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"), 1
    )
}

CURRENCY_SYMBOLS = {
    "US$": "USD", "A$": "AUD", "C$": "CAD", "HK$": "HKD", "NZ$": "NZD", "R$": "BRL", "$": "USD",
    "€": "EUR", "£": "GBP", "¥": "JPY", "₹": "INR", "₩": "KRW", "₽": "RUB", "₺": "TRY",
}  # fmt: skip
CURRENCY_CODES = frozenset(
    "USD EUR GBP JPY INR CHF CAD AUD NZD CNY RMB SEK NOK DKK PLN CZK HUF BRL MXN ZAR KRW SGD "
    "HKD TRY RUB ILS THB AED SAR".split()
)
CURRENCY_WORDS = {
    "dollar": "USD", "dollars": "USD", "euro": "EUR", "euros": "EUR", "yen": "JPY",
    "rupee": "INR", "rupees": "INR", "franc": "CHF", "francs": "CHF", "yuan": "CNY",
    "renminbi": "CNY", "peso": "MXN", "pesos": "MXN", "krona": "SEK", "kronor": "SEK",
    "kroner": "NOK", "rand": "ZAR", "roubles": "RUB", "rubles": "RUB", "won": "KRW",
    "pounds sterling": "GBP", "cents": "USD/100",
}  # fmt: skip

_DAY = 86400.0
DURATIONS = {
    name: seconds
    for names, seconds in (
        ("millisecond milliseconds ms", 1e-3),
        ("second seconds sec secs", 1.0),
        ("minute minutes min mins", 60.0),
        ("hour hours hr hrs", 3600.0),
        ("day days", _DAY),
        ("night nights", _DAY),
        ("week weeks", 7 * _DAY),
        ("fortnight fortnights", 14 * _DAY),
        ("month months", 365.25 / 12 * _DAY),
        ("year years yr yrs", 365.25 * _DAY),
        ("decade decades", 3652.5 * _DAY),
        ("century centuries", 36525 * _DAY),
    )
    for name in names.split()
}

# Unit -> (dimension, size in the dimension's base).
MEASURES: dict[str, tuple[str, float]] = {
    name: (dimension, size)
    for dimension, table in (
        (
            "length",
            (
                ("mm millimetre millimetres millimeter millimeters", 1e-3),
                ("cm centimetre centimetres centimeter centimeters", 1e-2),
                ("m metre metres meter meters", 1.0),
                ("km kilometre kilometres kilometer kilometers", 1e3),
                ("inch inches", 0.0254),
                ("ft foot feet", 0.3048),
                ("yd yard yards", 0.9144),
                ("mi mile miles", 1609.344),
            ),
        ),
        (
            "mass",
            (
                ("mg milligram milligrams milligramme milligrammes", 1e-6),
                ("g gram grams gramme grammes", 1e-3),
                ("kg kilogram kilograms kilo kilos", 1.0),
                ("t tonne tonnes", 1e3),
                ("ton tons", 907.18474),
                ("lb lbs pound pounds", 0.45359237),
                ("oz ounce ounces", 0.028349523125),
            ),
        ),
        (
            "volume",
            (
                ("ml millilitre millilitres milliliter milliliters", 1e-3),
                ("cl centilitre centilitres", 1e-2),
                ("l litre litres liter liters", 1.0),
                ("gallon gallons", 3.785411784),
                ("pint pints", 0.473176473),
            ),
        ),
        (
            "area",
            (
                ("m2 m²", 1.0),
                ("km2 km²", 1e6),
                ("ha hectare hectares", 1e4),
                ("acre acres", 4046.8564224),
            ),
        ),
        ("celsius", (("°c ℃ celsius", 1.0),)),
        ("fahrenheit", (("°f ℉ fahrenheit", 1.0),)),
        ("kelvin", (("kelvin", 1.0),)),
        ("angle", (("degree degrees °", 1.0),)),
        (
            "speed",
            (("km/h kph kmh", 1 / 3.6), ("mph", 0.44704), ("m/s", 1.0), ("knot knots", 0.514444)),
        ),
        (
            "power",
            (
                ("w watt watts", 1.0),
                ("kw kilowatt kilowatts", 1e3),
                ("mw megawatt megawatts", 1e6),
                ("gw gigawatt gigawatts", 1e9),
                ("hp horsepower", 745.7),
            ),
        ),
        (
            "energy",
            (
                ("wh", 1.0),
                ("kwh kilowatt-hour kilowatt-hours", 1e3),
                ("mwh megawatt-hour megawatt-hours", 1e6),
                ("gwh gigawatt-hour gigawatt-hours", 1e9),
                ("kcal kilocalorie kilocalories calorie calories", 1.163),
            ),
        ),
        (
            "data",
            (
                ("kb kilobyte kilobytes", 1e3),
                ("mb megabyte megabytes", 1e6),
                ("gb gigabyte gigabytes", 1e9),
                ("tb terabyte terabytes", 1e12),
            ),
        ),
        ("frequency", (("hz hertz", 1.0), ("khz", 1e3), ("mhz", 1e6), ("ghz", 1e9))),
        ("voltage", (("v volt volts", 1.0), ("kv kilovolt kilovolts", 1e3))),
        ("pressure", (("pa pascal", 1.0), ("kpa", 1e3), ("mpa", 1e6), ("bar bars", 1e5))),
    )
    for names, size in table
    for name in names.split()
}

ABOUT = frozenset(
    "about around approximately approx roughly nearly almost circa ca some estimated close".split()
)
AT_LEAST = frozenset({"over", "above", "exceeding", "exceeded", "exceeds", "least", "minimum"})
AT_MOST = frozenset({"under", "below", "most", "maximum", "within"})

STOP = frozenset(
    "a an the this that these those its it he she they them their his her him we you your our i "
    "is are was were be been being am has have had having do does did will would shall should can "
    "could may might must of in on at by for from to with within into onto over under about as "
    "and or but nor so if then than there here when where which who whom whose what how why also "
    "both each all any some such only just very more most less least much many other another own "
    "same too up down out off again further once during before after above below between through "
    "because until while s t not no never per cent percent around approximately roughly nearly "
    "almost one it's total number".split()
)

NEGATION = re.compile(
    r"\b(?:not|no|never|neither|nor|none|without|cannot|hardly|false|untrue|incorrect|wrong)\b|n't\b|n’t\b",
    re.IGNORECASE,
)

# Stems of words that name one property: noun and adjective, noun and verb.
SYNONYMS = {
    "length": "long", "height": "high", "tall": "high", "depth": "deep", "width": "wid",
    "weight": "weigh", "heavy": "weigh", "pric": "cost", "charg": "cost", "fee": "cost",
    "birth": "born", "death": "die", "dead": "die", "begin": "start", "began": "start",
    "begun": "start", "establish": "found", "construct": "build", "built": "build",
    "run": "last", "ran": "last",
}  # fmt: skip

# Forms of a verb that no ending gives away. Those that are words of their own ("found", "left",
# "saw") are left out.
IRREGULAR = {
    form: verb
    for verb, forms in (
        ("beat", "beaten"), ("begin", "began begun"), ("break", "broke broken"),
        ("bring", "brought"), ("build", "built"), ("buy", "bought"), ("catch", "caught"),
        ("choose", "chose chosen"), ("draw", "drew drawn"), ("drive", "drove driven"),
        ("eat", "ate eaten"), ("fight", "fought"), ("fly", "flew flown"),
        ("forbid", "forbade forbidden"), ("give", "gave given"), ("grow", "grew grown"),
        ("hold", "held"), ("keep", "kept"), ("know", "knew known"), ("lead", "led"),
        ("lend", "lent"), ("lose", "lost"), ("meet", "met"), ("overtake", "overtook overtaken"),
        ("pay", "paid"), ("sell", "sold"), ("send", "sent"), ("sing", "sang sung"),
        ("speak", "spoke spoken"), ("spend", "spent"), ("steal", "stole stolen"),
        ("swim", "swam swum"), ("take", "took taken"), ("teach", "taught"), ("tell", "told"),
        ("think", "thought"), ("throw", "threw thrown"), ("wear", "wore worn"), ("win", "won"),
        ("write", "wrote written"),
    )
    for form in forms.split()
}  # fmt: skip
SYNONYMS |= {stem(form): SYNONYMS.get(stem(verb), stem(verb)) for form, verb in IRREGULAR.items()}

# Names that hold other names: a place in the claim may be the country of the one in the source.
BROAD = frozenset(
    "usa us u.s u.k uk america american americans britain british england english europe european "
    "asia asian africa african australia australian united states kingdom north south east west "
    "northern southern eastern western god internet english earth world monday tuesday wednesday "
    "thursday friday saturday sunday january february march april may june july august september "
    "october november december christmas republican democrat democratic".split()
)

# Past participles that do not end in -ed.
PARTICIPLES = frozenset(
    "built won held led made sold bought taught beaten chosen drawn driven found founded given run "
    "sent set shot sung told thrown written known hit cut bred cast lost paid caught fought "
    "brought".split()
)

# A town, a river or a firm may lie in one of these. Two words are joined by a low line.
COUNTRIES = frozenset(
    name.replace("_", " ")
    for name in """
afghanistan albania algeria angola argentina armenia austria azerbaijan bangladesh belarus
belgium bolivia bosnia botswana brazil bulgaria cambodia cameroon canada chile china
colombia congo croatia cuba cyprus czechia czechoslovakia denmark ecuador egypt eritrea
estonia ethiopia finland france georgia germany ghana greece guatemala guinea haiti honduras
hungary iceland india indonesia iran iraq ireland israel italy jamaica japan jordan
kazakhstan kenya kosovo kuwait kyrgyzstan laos latvia lebanon libya lithuania luxembourg
madagascar malawi malaysia mali malta mexico moldova mongolia montenegro morocco mozambique
myanmar namibia nepal netherlands new_zealand nicaragua niger nigeria north_korea norway
oman pakistan panama paraguay peru philippines poland portugal prussia qatar romania russia
rwanda saudi_arabia scotland senegal serbia singapore slovakia slovenia somalia south_africa
south_korea soviet_union spain sri_lanka sudan sweden switzerland syria taiwan tanzania
thailand tunisia turkey uganda ukraine uruguay uzbekistan venezuela vietnam wales yemen
yugoslavia zambia zimbabwe alabama alaska arizona arkansas california colorado connecticut
delaware florida hawaii idaho illinois indiana iowa kansas kentucky louisiana maine maryland
massachusetts michigan minnesota mississippi missouri montana nebraska nevada new_hampshire
new_jersey new_mexico new_york north_carolina north_dakota ohio oklahoma oregon pennsylvania
rhode_island south_carolina south_dakota tennessee texas utah vermont virginia washington
west_virginia wisconsin wyoming ontario quebec scandinavia bavaria siberia
""".split()
)
