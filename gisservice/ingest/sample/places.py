"""Facts about the place: outline, water, railways, stations, parks, sites, schools and other landmarks.

Written down from general knowledge of the city, to a few tens of feet (see :mod:`~gisservice.ingest.sample.plane`
for how a position is written). They make the sample city recognisable; they are no survey.
"""

from __future__ import annotations

from typing import NamedTuple

BOUNDARY = """
    1438,8107 1438,8123 1437,8136 1438,8142 1425,8158 1412,8174 1402,8169 1394,8177 1385,8187 1396,8196 1389,8201
    1372,8215 1379,8227 1386,8239 1404,8239 1421,8239 1419,8254 1409,8269 1396,8278 1380,8288 1365,8299 1349,8309
    1353,8322 1332,8328 1314,8334 1303,8345 1291,8357 1279,8370 1263,8373 1247,8377 1259,8394 1253,8409 1247,8414
    1231,8414 1216,8414 1212,8411 1214,8405 1190,8411 1168,8416 1140,8426 1110,8435 1092,8429 1070,8424 1067,8419
    1070,8414 1053,8407 1036,8399 1019,8386 1001,8372 1007,8363 993,8356 977,8348 953,8331 928,8312 904,8293
    890,8282 878,8274 866,8288 854,8303 854,8320 853,8341 849,8363 847,8383 850,8402 857,8429 857,8441 838,8440
    820,8437 803,8433 788,8436 773,8439 750,8441 725,8443 703,8443 684,8439 666,8444 648,8449 636,8450 620,8443
    600,8433 578,8423 556,8412 546,8410 525,8410 505,8411 492,8413 481,8413 463,8405 445,8396 449,8386 450,8366
    449,8347 442,8337 435,8332 426,8338 412,8337 402,8330 392,8322 386,8304 381,8286 386,8250 391,8215 388,8197
    384,8176 381,8156 374,8142 374,8134 378,8110 380,8086 382,8069 386,8040 388,8017 389,8003 389,7980 390,7947
    390,7917 395,7911 401,7899 404,7854 414,7854 440,7866 470,7880 514,7899 527,7908 546,7917 568,7926 598,7940
    616,7945 636,7953 634,7957 655,7965 680,7976 724,7993 752,7998 782,8003 830,8008 874,8013 913,8018 950,8023
    978,8027 1010,8029 1038,8030 1080,8023 1120,8016 1125,8029 1150,8021 1173,8014 1210,8005 1260,7999 1300,7993
    1345,7986 1376,7982 1377,8008 1400,8006 1413,8031 1425,8059 1431,8053 1437,8078 1444,8104
"""


class Water(NamedTuple):
    """A water body: ``river`` and ``lake`` by their shore, ``stream`` by its course."""

    name: str
    kind: str
    text: str
    half_width: float = 0.0
    """Feet; streams only."""
    greenway: float = 0.0
    """Feet of open land on each side of a stream."""
    heights: tuple[float, ...] = ()
    """Metres above the sea, spread evenly along the course; streams only."""


WATERS = (
    Water(
        "Potomac River",
        "river",
        """
        520,8520 485,8450 465,8425 452,8408 446,8398 450,8386 451,8366 450,8347 443,8336 436,8330 431,8320 427,8321
        426,8335 412,8335 403,8328 393,8320 387,8304 382,8286 387,8250 391,8224 399,8220 405,8224 401,8212 392,8206
        388,8192 385,8176 382,8157 375,8142 375,8134 378,8122 385,8113 391,8104 389,8096 382,8088 383,8069 387,8044
        390,8036 389,8016 390,8003 390,7980 391,7947 391,7918 396,7910 400,7903 404,7854 412,7800 420,7760 300,7740
        255,7800 280,7880 270,7950 250,8000 245,8100 230,8180 245,8260 280,8330 330,8420 350,8520
        """,
    ),
    Water(
        "Hunting Creek",
        "river",
        """
        640,7962 620,7957 600,7950 580,7941 560,7929 548,7917 535,7911 520,7905 505,7903 490,7906 475,7912 462,7914
        450,7918 440,7916 430,7908 418,7902 402,7902 396,7908 398,7880 404,7852 414,7850 440,7862 470,7876 514,7895
        527,7904 546,7913 568,7922 598,7936 616,7941 638,7949
        """,
    ),
    Water("Lake Cook", "lake", "1003,8053 992,8055 984,8054 983,8051 992,8050 1002,8050"),
    Water("Winkler Pond", "lake", "1226,8316 1221,8319 1214,8317 1213,8313 1219,8311 1225,8312"),
    Water("Ben Brenman Pond", "lake", "1152,8101 1146,8103 1141,8101 1141,8097 1148,8095 1153,8097"),
    Water(
        "Cameron Run",
        "stream",
        """
        1113,8056 1104,8042 1090,8038 1060,8037 1030,8037 1000,8036 978,8034 950,8031 913,8027 880,8022 840,8018
        800,8013 760,8006 735,8003 710,7992 690,7985 670,7975 650,7968 636,7960
        """,
        45,
        150,
        (14, 11, 8, 5, 3, 2, 1),
    ),
    Water(
        "Holmes Run",
        "stream",
        """
        1420,8262 1402,8277 1380,8290 1358,8303 1342,8305 1332,8292 1326,8272 1315,8252 1298,8234 1285,8218 1270,8203
        1250,8189 1228,8177 1205,8166 1180,8150 1155,8140 1130,8130 1116,8118 1110,8100 1112,8080 1113,8056
        """,
        22,
        140,
        (62, 58, 52, 46, 40, 33, 27, 22, 18, 14),
    ),
    Water(
        "Backlick Run",
        "stream",
        """
        1425,8056 1400,8049 1370,8042 1345,8040 1310,8041 1285,8046 1250,8051 1215,8057 1180,8064 1150,8070 1128,8070
        1113,8056
        """,
        18,
        90,
        (38, 33, 28, 24, 20, 17, 14),
    ),
    Water(
        "Four Mile Run",
        "stream",
        """
        857,8438 838,8437 820,8434 803,8430 785,8433 770,8436 750,8438 725,8440 703,8440 684,8436 664,8441 648,8446
        634,8446 618,8438 600,8430 578,8420 556,8409 530,8407 505,8408 480,8409 462,8402 446,8396
        """,
        40,
        120,
        (22, 19, 16, 12, 8, 5, 3, 2, 1),
    ),
    Water("Timber Branch", "stream", "722,8252 735,8240 748,8222 756,8205 752,8188", 6, 55, (42, 36, 30)),
    Water("Taylor Run", "stream", "768,8158 758,8132 752,8112 749,8095", 6, 45, (28, 20, 13)),
    Water("Strawberry Run", "stream", "932,8182 935,8160 934,8135 931,8112", 6, 45, (52, 38, 24)),
)

RAILWAY = """
1402,8006 1375,8017 1340,8028 1290,8036 1240,8045 1190,8056 1150,8063 1113,8066 1060,8067 1000,8066 940,8064 880,8062
820,8058 760,8053 720,8049 690,8048 655,8051 630,8059 613,8069 597,8085 580,8101 565,8119 552,8136 540,8155 526,8172
512,8186 498,8203 485,8222 476,8240 472,8265 471,8300 473,8335 480,8370 490,8395 500,8420
"""
METRO_BLUE = """
1376,7988 1330,7991 1291,7993 1260,8003 1215,8014 1180,8030 1150,8046 1118,8061 1060,8064 1000,8063 940,8061 880,8059
820,8055 760,8050 720,8046 690,8046 655,8049 630,8057 611,8066 595,8083 578,8099 563,8117 537,8140 524,8171 510,8185
496,8202 483,8221 474,8240 469,8265 465,8300 464,8333 474,8372 486,8397 496,8420
"""
METRO_YELLOW = "752,7985 735,7996 712,8004 690,8012 672,8030 655,8042 640,8050 630,8057"


class Station(NamedTuple):
    """A Metro station."""

    name: str
    position: str
    lines: str
    opened: str


STATIONS = (
    Station("King St–Old Town", "610,8066", "Blue Yellow", "1983-12-17"),
    Station("Braddock Road", "537,8140", "Blue Yellow", "1983-12-17"),
    Station("Eisenhower Avenue", "712,8004", "Yellow", "1983-12-17"),
    Station("Van Dorn Street", "1291,7995", "Blue", "1991-06-15"),
    Station("Potomac Yard", "464,8333", "Blue Yellow", "2023-05-19"),
)


class Site(NamedTuple):
    """Land that is not cut into lots: a park, a cemetery, a campus or a plant."""

    name: str
    kind: str
    """``CITYWIDE``, ``NEIGHBORHOOD``, ``NATURAL``, ``CEMETERY`` (parks); ``CAMPUS``, ``UTILITY`` (no parks)."""
    zone: str
    text: str


SITES = (
    Site(
        "Daingerfield Island",
        "CITYWIDE",
        "WPR",
        """
        468,8406 444,8396 449,8386 450,8366 449,8347 442,8337 435,8332 426,8338 412,8337 402,8330 392,8322 386,8304
        381,8286 386,8250 391,8228 436,8230 434,8255 440,8285 449,8330 455,8370
        """,
    ),
    Site(
        "Potomac Yard Park",
        "CITYWIDE",
        "POS",
        "484,8242 477,8243 474,8268 473,8300 475,8335 480,8360 484,8345 479,8290",
    ),
    Site("Four Mile Run Park", "CITYWIDE", "POS", "628,8441 600,8431 560,8412 563,8400 590,8399 606,8408 622,8424"),
    Site("Eugene Simpson Stadium Park", "NEIGHBORHOOD", "POS", "541,8222 520,8224 521,8212 541,8209"),
    Site("George Washington Middle School", "CAMPUS", "R-2-5", "560,8164 543,8167 548,8150 559,8142"),
    Site(
        "Jones Point Park",
        "CITYWIDE",
        "WPR",
        """
            440,7946 390,7948 389,7918 396,7908 402,7902 418,7902 430,7908 442,7918
        """,
    ),
    Site("Windmill Hill Park", "NEIGHBORHOOD", "POS", "411,7997 389,7997 389,7986 411,7985"),
    Site("Waterfront Park", "CITYWIDE", "WPR", "399,8041 386,8042 388,8029 400,8028"),
    Site("Founders Park", "CITYWIDE", "WPR", "402,8082 381,8084 384,8062 402,8060"),
    Site("Oronoco Bay Park", "CITYWIDE", "WPR", "407,8107 385,8112 379,8095 381,8090 405,8088"),
    Site("Tide Lock Park", "NEIGHBORHOOD", "WPR", "388,8133 374,8135 377,8118 388,8118"),
    Site(
        "Wilkes Street Cemeteries", "CEMETERY", "POS", "597,8010 563,8010 556,7985 552,7966 566,7962 586,7984 595,7990"
    ),
    Site("Masonic Memorial", "CAMPUS", "R-5", "676,8084 654,8090 643,8079 650,8063 676,8064"),
    Site("Ivy Hill Cemetery", "CEMETERY", "R-8", "735,8196 710,8200 692,8176 700,8158 722,8160 736,8176"),
    Site(
        "Chinquapin Park and City High School",
        "CITYWIDE",
        "POS",
        "838,8242 803,8213 796,8190 803,8168 818,8166 824,8186 832,8212 838,8230",
    ),
    Site("Fort Ward Park", "CITYWIDE", "POS", "1052,8318 1025,8327 1001,8320 1002,8288 1040,8292 1056,8306"),
    Site(
        "Episcopal High School",
        "CAMPUS",
        "R-20",
        "996,8276 930,8273 896,8268 892,8240 895,8194 940,8206 975,8224 994,8230",
    ),
    Site("Theological Seminary", "CAMPUS", "R-20", "1034,8283 1000,8278 998,8240 1012,8240 1034,8252"),
    Site("Inova Alexandria Hospital", "CAMPUS", "R-8", "1063,8244 1040,8240 1022,8230 1036,8212 1060,8214"),
    Site(
        "Ben Brenman Park", "CITYWIDE", "POS", "1186,8122 1130,8124 1118,8110 1116,8085 1160,8082 1163,8102 1186,8106"
    ),
    Site(
        "Cameron Run Regional Park",
        "CITYWIDE",
        "POS",
        "1090,8060 1010,8060 970,8058 968,8042 1010,8046 1060,8045 1098,8043",
    ),
    Site("Joseph Hensley Park", "NEIGHBORHOOD", "POS", "930,8058 902,8056 902,8040 930,8041"),
    Site(
        "Dora Kelley Nature Park",
        "NATURAL",
        "POS",
        "1345,8302 1329,8300 1318,8270 1302,8246 1282,8224 1290,8212 1312,8232 1332,8252 1341,8278",
    ),
    Site("Winkler Botanical Preserve", "NATURAL", "POS", "1238,8324 1205,8328 1192,8310 1214,8296 1238,8302"),
    Site("Monticello Park", "NATURAL", "POS", "692,8326 676,8329 671,8315 690,8311"),
    Site("Beverley Park", "NEIGHBORHOOD", "POS", "713,8337 703,8338 703,8329 713,8328"),
    Site("Goat Hill Park", "NEIGHBORHOOD", "POS", "650,8352 637,8356 633,8346 648,8342"),
    Site("Angel Park", "NEIGHBORHOOD", "POS", "732,8100 718,8103 715,8090 729,8086"),
    Site("African American Heritage Park", "NEIGHBORHOOD", "POS", "622,7998 606,7998 606,7990 622,7988"),
    Site("Stevenson Park", "NEIGHBORHOOD", "POS", "1436,8124 1413,8125 1413,8112 1436,8110"),
    Site("John Ewald Park", "NEIGHBORHOOD", "POS", "1163,8166 1142,8172 1132,8160 1152,8150"),
    Site("Brook Valley Park", "NATURAL", "POS", "1225,8166 1205,8156 1190,8146 1200,8141 1226,8156"),
    Site("Forest Park", "NATURAL", "POS", "828,8264 806,8260 812,8250 830,8254"),
    Site("Hume Springs Park", "NEIGHBORHOOD", "POS", "592,8384 580,8387 577,8378 590,8375"),
    Site("Mount Jefferson Park", "NATURAL", "POS", "519,8300 513,8302 517,8276 522,8262 526,8262 523,8280"),
    Site("Simmons Park", "NEIGHBORHOOD", "POS", "1395,8248 1384,8252 1380,8246 1391,8242"),
    Site("Tarleton Park", "NEIGHBORHOOD", "POS", "1085,8090 1066,8092 1064,8084 1084,8084"),
    Site("Armistead Boothe Park", "NEIGHBORHOOD", "POS", "1285,8066 1262,8072 1256,8064 1282,8058"),
    Site("Northern Virginia Community College", "CAMPUS", "R-12", "1152,8422 1112,8432 1100,8418 1122,8402 1150,8408"),
    Site("Water Renewal Plant", "UTILITY", "UT", "628,7984 600,7984 584,7968 588,7958 620,7962 638,7970"),
    Site("Old Power Station", "UTILITY", "UT", "420,8216 393,8212 389,8196 386,8182 404,8180 417,8198"),
    Site("Metrorail Yard", "UTILITY", "UT", "880,8056 840,8054 836,8040 880,8042"),
    Site("Alexandria City Yard", "UTILITY", "UT", "1045,8066 1010,8065 1012,8061 1045,8061"),
)


class Facility(NamedTuple):
    """A public building: name, position, street it stands on, level (schools)."""

    name: str
    position: str
    street: str
    level: str = ""


LIBRARIES = (
    Facility("Beatley Central Library", "1172,8127", "Duke St"),
    Facility("Burke Branch Library", "1102,8285", "Seminary Rd"),
    Facility("Duncan Branch Library", "612,8276", "Commonwealth Ave"),
    Facility("Barrett Branch Library", "470,8074", "Queen St"),
)
FIRE_STATIONS = (
    Facility("Fire Station 201", "430,8036", "Prince St"),
    Facility("Fire Station 202", "576,8246", "E Windsor Ave"),
    Facility("Fire Station 203", "742,8298", "Cameron Mills Rd"),
    Facility("Fire Station 204", "487,8161", "Second St"),
    Facility("Fire Station 205", "530,8066", "Cameron St"),
    Facility("Fire Station 206", "1081,8268", "Seminary Rd"),
    Facility("Fire Station 207", "870,8091", "Duke St"),
    Facility("Fire Station 208", "1196,8145", "N Pickett St"),
    Facility("Fire Station 209", "497,8296", "Main Line Blvd"),
    Facility("Fire Station 210", "1258,8013", "Eisenhower Ave"),
)
SCHOOLS = (
    Facility("Jefferson-Houston School", "566,8072", "Cameron St", "K8"),
    Facility("Lyles-Crouch Traditional Academy", "458,7989", "S St Asaph St", "ELEMENTARY"),
    Facility("George Mason Elementary School", "742,8284", "Cameron Mills Rd", "ELEMENTARY"),
    Facility("Charles Barrett Elementary School", "790,8402", "Martha Custis Dr", "ELEMENTARY"),
    Facility("Cora Kelly School", "570,8376", "Commonwealth Ave", "ELEMENTARY"),
    Facility("Mount Vernon Community School", "606,8288", "Commonwealth Ave", "ELEMENTARY"),
    Facility("Naomi L. Brooks Elementary School", "652,8130", "Russell Rd", "ELEMENTARY"),
    Facility("Douglas MacArthur Elementary School", "825,8149", "Janneys La", "ELEMENTARY"),
    Facility("James K. Polk Elementary School", "1130,8228", "N Pegram St", "ELEMENTARY"),
    Facility("Patrick Henry School", "1118,8173", "Taney Ave", "K8"),
    Facility("William Ramsay Elementary School", "1300,8284", "Sanger Ave", "ELEMENTARY"),
    Facility("John Adams Elementary School", "1256,8334", "Rayburn Ave", "ELEMENTARY"),
    Facility("Ferdinand T. Day Elementary School", "1238,8332", "N Beauregard St", "ELEMENTARY"),
    Facility("Samuel W. Tucker Elementary School", "1252,8070", "Cameron Station Blvd", "ELEMENTARY"),
    Facility("Francis C. Hammond Middle School", "1090,8272", "Seminary Rd", "MIDDLE"),
    Facility("George Washington Middle School", "556,8158", "Mount Vernon Ave", "MIDDLE"),
    Facility("Alexandria City High School, King Street", "812,8206", "King St", "HIGH"),
    Facility("Alexandria City High School, Minnie Howard", "930,8284", "W Braddock Rd", "HIGH"),
)

NEIGHBORHOODS = {
    "Old Town": "455,8040",
    "Old Town North": "425,8130",
    "Parker-Gray": "510,8100",
    "Southwest Quadrant": "525,8000",
    "Carlyle": "625,8026",
    "Eisenhower East": "705,8018",
    "Del Ray": "585,8250",
    "Rosemont": "625,8135",
    "Potomac Yard": "498,8300",
    "Potomac Greens": "458,8275",
    "Arlandria": "622,8405",
    "Lynhaven": "540,8363",
    "Warwick Village": "625,8335",
    "Beverley Hills": "745,8345",
    "North Ridge": "745,8265",
    "Parkfairfax": "818,8372",
    "Jefferson Park": "700,8260",
    "Taylor Run": "775,8125",
    "Clover-College Park": "805,8120",
    "Seminary Hill": "960,8195",
    "Quaker Hill": "862,8115",
    "Wakefield-Tarleton": "1060,8098",
    "Seminary Valley": "1165,8210",
    "Seminary West": "1120,8250",
    "Bradlee": "875,8262",
    "Park Center": "1055,8362",
    "Mark Center": "1180,8318",
    "Lincolnia Hills": "1385,8262",
    "Landmark": "1320,8160",
    "Cameron Station": "1215,8085",
    "Eisenhower West": "1200,8035",
    "West End": "1375,8110",
    "Strawberry Hill": "945,8110",
    "Hume Springs": "590,8365",
}
LANDMARKS = {
    "City Hall": "432,8051",
    "Torpedo Factory": "398,8048",
    "Masonic Memorial": "662,8075",
    "Market Square": "430,8047",
    "Christ Church": "477,8063",
    "Fort Ward Museum": "1020,8308",
    "Jones Point Lighthouse": "405,7906",
    "Wilson Bridge": "392,7931",
    "Inova Alexandria Hospital": "1045,8228",
    "Union Station": "622,8063",
}

HISTORIC_DISTRICTS = (
    (
        "Old and Historic Alexandria District",
        "LOCAL",
        """
            590,8068 540,8063 540,8075 500,8072 497,8090 476,8088 470,8128 448,8127 446,8165 430,8165 434,8120
            378,8122 382,8040
        """
        "390,7950 480,7948 490,7990 520,8015 545,8025 575,8045 592,8058",
    ),
    (
        "Parker-Gray District",
        "LOCAL",
        "552,8086 540,8075 500,8072 497,8090 484,8090 476,8128 500,8134 528,8130 540,8110",
    ),
    ("Town of Potomac", "NATIONAL", "606,8192 548,8198 540,8226 552,8268 600,8272 612,8240"),
    ("Rosemont", "NATIONAL", "660,8095 600,8094 606,8130 618,8160 660,8158 668,8120"),
    ("Parkfairfax", "NATIONAL", "843,8408 795,8408 786,8370 790,8335 838,8334 848,8362"),
)


class Trail(NamedTuple):
    """A path away from the streets; ``beside`` names a stream to follow at a distance, else ``text`` is the course."""

    name: str
    surface: str
    text: str = ""
    beside: str = ""


TRAILS = (
    Trail(
        "Mount Vernon Trail",
        "PAVED",
        """
            470,8412 462,8395 455,8365 450,8335 441,8300 434,8265 430,8235 424,8222 424,8195 414,8172 398,8150
            392,8128 398,8110
        """
        "398,8086 400,8060 398,8040 403,8018 408,7990 420,7965 428,7948 440,7935 470,7930 490,7908 505,7897",
    ),
    Trail("Holmes Run Trail", "PAVED", beside="Holmes Run"),
    Trail("Four Mile Run Trail", "PAVED", beside="Four Mile Run"),
    Trail("Cameron Run Trail", "PAVED", beside="Cameron Run"),
    Trail("Backlick Run Trail", "GRAVEL", beside="Backlick Run"),
    Trail("Timber Branch Path", "NATURAL", beside="Timber Branch"),
    Trail("Potomac Yard Trail", "PAVED", "500,8222 486,8238 479,8262 477,8300 479,8335 484,8362 494,8395"),
    Trail("Mount Jefferson Trail", "GRAVEL", "516,8305 520,8280 525,8262 522,8240"),
    Trail("Dora Kelley Loop", "NATURAL", "1335,8295 1326,8280 1318,8265 1310,8250 1318,8248 1330,8262 1336,8280"),
    Trail("Winkler Paths", "NATURAL", "1235,8318 1222,8323 1206,8320 1200,8310 1214,8302 1230,8306"),
    Trail("Fort Ward Loop", "PAVED", "1045,8312 1024,8322 1008,8314 1010,8296 1036,8296 1046,8306"),
)

HEIGHTS = """
    395,8100,2 395,8040,2 395,7990,2 400,7930,2 430,8045,8 470,8051,13 500,8060,14 540,8062,13 590,8070,12
    440,8100,9 480,8100,13 530,8110,13 420,8150,7 470,8150,12 440,8000,9 480,8000,12 530,8000,9 480,7950,6
    560,7980,8 610,8020,7 650,8010,6 700,8015,6 740,8030,7 620,8050,11 663,8075,52 690,8085,38 640,8110,22
    600,8110,13 660,8150,38 620,8160,14 580,8180,13 560,8230,13 600,8230,14 640,8220,26 680,8230,50 640,8280,24
    590,8290,14 540,8280,13 500,8250,10 495,8320,10 455,8270,6 420,8280,3 410,8240,3 520,8380,7 570,8380,8
    620,8380,18 650,8410,16 680,8330,48 700,8290,56 720,8340,58 740,8310,62 760,8350,60 700,8380,36 740,8400,32
    780,8300,66 790,8260,68 820,8290,72 830,8360,62 800,8380,48 840,8400,50 720,8200,44 760,8240,58 780,8190,40
    720,8140,34 760,8150,32 800,8150,48 830,8210,62 860,8170,62 890,8160,66 860,8240,72 880,8272,78 780,8100,28
    830,8100,32 860,8110,36 760,8070,12 830,8065,12 900,8090,26 920,8120,48 940,8180,70 960,8150,62 990,8130,44
    940,8240,80 990,8260,83 1020,8305,85 960,8310,78 1000,8220,78 1040,8230,80 1060,8180,62 1040,8140,38
    1060,8100,22 1100,8110,18 1000,8085,18 960,8075,13 1000,8050,9 1090,8280,82 1060,8340,78 1090,8370,80
    1120,8320,82 1140,8400,80 1180,8400,83 1220,8400,82 1240,8360,76 1180,8340,78 1160,8300,76 1220,8310,66
    1250,8340,70 1270,8290,64 1300,8320,66 1300,8270,60 1340,8250,66 1380,8260,68 1400,8245,70 1340,8210,62
    1370,8200,68 1130,8240,72 1160,8230,62 1120,8200,58 1180,8200,50 1200,8240,62 1230,8210,50 1170,8170,34
    1250,8160,42 1300,8160,54 1340,8160,62 1400,8140,74 1430,8110,72 1380,8100,62 1330,8110,50 1280,8110,42
    1240,8110,36 1200,8100,26 1150,8110,20 1220,8070,22 1300,8070,34 1360,8070,46 1410,8060,52 1390,8020,44
    1340,8010,34 1280,8010,30 1220,8020,26 1160,8035,20 1100,8030,12
"""
"""Ground heights: west, north (as all facts), and metres above the sea."""
