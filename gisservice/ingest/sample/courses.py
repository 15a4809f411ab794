"""Facts about streets: the courses of the main roads, and the grids of Old Town, Del Ray and Rosemont.

Written down from general knowledge of the city (see :mod:`~gisservice.ingest.sample.plane` for the notation).
"""

from __future__ import annotations

from typing import NamedTuple


class Course(NamedTuple):
    """One named street. ``split`` names the street from which numbers and N/S or E/W directions count."""

    name: str
    road_class: str
    text: str
    base: int = 100
    """First hundred of the house numbers where the line begins; streets with a split count from there."""
    split: str = ""


MAIN_ROADS = (
    Course(
        "King St",
        "PRIMARY",
        """
        398,8042 470,8051 540,8060 590,8067 606,8070 616,8076 640,8090 668,8106 694,8124 720,8145 746,8166 786,8203
        828,8238 850,8257 873,8272 890,8279 910,8294 935,8314 960,8333 985,8348 1003,8358 1030,8378 1050,8395
        1072,8411 1092,8431
    """,
    ),
    Course(
        "Duke St",
        "PRIMARY",
        """
        392,8017 410,8019 470,8028 540,8036 572,8040 600,8044 640,8048 668,8052 690,8055 745,8067 794,8076 851,8086
        877,8092 935,8099 989,8106 1020,8116 1047,8126 1105,8129 1180,8129 1228,8130 1285,8136 1330,8140 1375,8145
        1426,8158
    """,
    ),
    Course(
        "Mount Vernon Ave",
        "ARTERIAL",
        """
        598,8083 581,8097 566,8116 566,8144 572,8180 577,8205 580,8222 584,8243 588,8264 592,8288 598,8316 603,8343
        615,8380 627,8400 640,8432 646,8450
    """,
    ),
    Course(
        "Commonwealth Ave",
        "COLLECTOR",
        """
        600,8068 606,8102 614,8125 622,8146 629,8177 635,8206 632,8222 624,8253 611,8279 598,8311 588,8334 576,8347
        568,8372 566,8398
    """,
    ),
    Course(
        "Russell Rd",
        "COLLECTOR",
        """
        622,8079 631,8090 640,8113 650,8142 659,8170 664,8195 662,8224 656,8260 661,8285 668,8310 675,8332 670,8353
        655,8372 641,8389 625,8398
    """,
    ),
    Course(
        "Braddock Rd",
        "ARTERIAL",
        """
        532,8125 560,8136 589,8150 618,8164 660,8188 690,8206 720,8225 767,8250 807,8263 852,8268 873,8272 893,8277
        940,8279 1000,8284 1040,8288 1062,8306 1078,8330 1090,8354 1100,8376 1110,8390 1135,8402 1168,8417
    """,
        1,
        "Commonwealth Ave",
    ),
    Course(
        "Seminary Rd",
        "ARTERIAL",
        """
        889,8168 915,8187 944,8203 975,8220 1005,8232 1045,8247 1072,8257 1085,8276 1105,8293 1135,8322 1160,8344
        1183,8362 1200,8380 1222,8398 1245,8414
    """,
        3600,
    ),
    Course(
        "Quaker La",
        "ARTERIAL",
        """
        884,8092 891,8107 893,8130 890,8165 890,8191 885,8240 873,8272 859,8296 851,8320 850,8345 854,8362
    """,
        100,
        "Duke St",
    ),
    Course("Janneys La", "COLLECTOR", "712,8138 732,8140 804,8141 841,8149 871,8163 889,8168", 400),
    Course(
        "Van Dorn St",
        "ARTERIAL",
        """
        1346,7984 1341,8020 1333,8050 1324,8080 1318,8105 1310,8136 1300,8152 1286,8172 1276,8192 1262,8202
        1240,8216 1205,8236 1180,8250 1150,8265 1120,8277 1092,8286 1066,8304
    """,
        1,
        "Duke St",
    ),
    Course(
        "Eisenhower Ave",
        "ARTERIAL",
        """
        597,7994 615,8000 656,8008 690,8011 731,8017 790,8025 841,8031 900,8037 966,8043 1010,8047 1060,8047
        1117,8044 1168,8040 1215,8023 1256,8013 1300,8010 1341,8018
    """,
        1500,
    ),
    Course(
        "Beauregard St",
        "ARTERIAL",
        """
        1376,8176 1364,8195 1353,8215 1341,8232 1318,8256 1291,8278 1268,8298 1250,8315 1225,8331 1202,8342
        1165,8353 1140,8366 1110,8390 1088,8402 1072,8411
    """,
        301,
    ),
    Course("Edsall Rd", "COLLECTOR", "1324,8083 1350,8076 1385,8066 1414,8060 1434,8061", 5600),
    Course(
        "Pickett St",
        "COLLECTOR",
        """
        1400,8041 1356,8040 1332,8047 1310,8054 1277,8080 1254,8096 1221,8105 1205,8129 1190,8150 1178,8173
        1164,8195 1140,8222 1108,8244 1084,8262
    """,
        1,
        "Duke St",
    ),
    Course("Howard St", "COLLECTOR", "1127,8129 1108,8152 1090,8176 1059,8187 1043,8201 1043,8246", 200),
    Course("Jordan St", "COLLECTOR", "1099,8076 1104,8100 1105,8129 1093,8147 1084,8171 1077,8181", 1, "Duke St"),
    Course("Taylor Run Pkwy", "LOCAL", "744,8067 745,8090 747,8105 760,8126 762,8141 774,8155 781,8168 776,8194", 10),
    Course("Cameron Station Blvd", "COLLECTOR", "1197,8129 1195,8110 1187,8085 1205,8071 1245,8060 1302,8060", 100),
    Course("Wheeler Ave", "COLLECTOR", "893,8093 911,8078 950,8077 985,8082 1030,8080 1065,8078 1099,8077", 3500),
    Course(
        "Glebe Rd",
        "ARTERIAL",
        """
        800,8436 775,8432 749,8428 718,8421 700,8410 677,8402 650,8388 629,8378 611,8364 600,8360 577,8350 555,8345
        531,8334 511,8326 482,8322
    """,
        1,
        "Mount Vernon Ave",
    ),
    Course(
        "Richmond Hwy",
        "PRIMARY",
        """
        498,8172 499,8190 501,8215 499,8240 501,8265 504,8285 509,8318 511,8355 514,8396 515,8414
    """,
        1600,
    ),
    Course(
        "Potomac Ave",
        "COLLECTOR",
        """
        500,8228 490,8240 484,8262 484,8290 486,8335 492,8372 504,8398 514,8402
    """,
        1800,
    ),
    Course("Main Line Blvd", "LOCAL", "493,8236 492,8250 494,8270 498,8300 503,8322", 1900),
    Course("Slaters La", "COLLECTOR", "445,8224 476,8215 500,8205", 600),
    Course("Bashford La", "LOCAL", "422,8180 440,8186 487,8188", 500),
    Course(
        "George Washington Memorial Pkwy",
        "PRIMARY",
        """
        453,8133 450,8160 445,8190 444,8225 442,8255 447,8285 456,8330 462,8370 470,8412
    """,
        1000,
    ),
    Course("Mount Vernon Memorial Hwy", "PRIMARY", "489,7952 489,7935 490,7912 504,7893", 1000),
    Course("Telegraph Rd", "ARTERIAL", "745,8067 749,8045 752,8020 757,7994", 100),
    Course("Mill Rd", "COLLECTOR", "728,8017 700,8030 677,8023 668,8009 662,7988", 2000),
    Course("Holland La", "COLLECTOR", "597,8044 599,8013 603,7997", 300),
    Course("John Carlyle St", "LOCAL", "613,8046 616,8026 618,8001", 300),
    Course("Dulany St", "LOCAL", "633,8047 636,8026 638,8005", 300),
    Course("Jamieson Ave", "LOCAL", "598,8031 616,8033 662,8037 677,8023", 1700),
    Course("Ballenger Ave", "LOCAL", "598,8022 616,8025 650,8027", 1800),
    Course("Clermont Ave", "COLLECTOR", "1137,8042 1130,8030 1121,8012", 100),
    Course("Stevenson Ave", "COLLECTOR", "1316,8121 1371,8131 1416,8134 1437,8134", 5900),
    Course("Whiting St", "LOCAL", "1362,8144 1368,8104 1372,8070", 100),
    Course("Yoakum Pkwy", "LOCAL", "1406,8133 1402,8100 1386,8066", 100),
    Course("Reynolds St", "LOCAL", "1260,8133 1276,8112 1300,8094 1321,8092", 1),
    Course("Lincolnia Rd", "COLLECTOR", "1371,8184 1390,8188 1394,8195", 6000),
    Course("Sanger Ave", "COLLECTOR", "1291,8278 1316,8290", 5500),
    Course("Chambliss St", "LOCAL", "1420,8241 1413,8248 1386,8258 1370,8276 1352,8294", 800),
    Course("Morgan St", "LOCAL", "1408,8250 1395,8241 1372,8244 1341,8232", 5400),
    Course("Fillmore Ave", "COLLECTOR", "1118,8384 1140,8374 1157,8380 1187,8387 1218,8381 1262,8368", 4800),
    Course("Dawes Ave", "LOCAL", "1138,8402 1162,8406 1200,8393 1252,8382", 4800),
    Course("Rayburn Ave", "LOCAL", "1234,8326 1256,8331 1276,8320 1268,8298", 5500),
    Course("Mark Center Dr", "COLLECTOR", "1134,8322 1160,8308 1180,8300 1196,8312 1202,8342", 4800),
    Course("Hampton Dr", "LOCAL", "1086,8366 1070,8372 1050,8395", 2400),
    Course("Park Center Dr", "LOCAL", "1090,8354 1060,8346 1040,8360 1030,8378", 4200),
    Course(
        "Martha Custis Dr",
        "LOCAL",
        """
        802,8437 806,8418 829,8413 842,8395 838,8378 845,8352 838,8340 815,8332 796,8330
    """,
        1100,
    ),
    Course(
        "Valley Dr",
        "COLLECTOR",
        """
        749,8428 760,8413 790,8412 796,8388 792,8366 799,8345 796,8325 792,8295 782,8255
    """,
        1000,
    ),
    Course("Gunston Rd", "LOCAL", "796,8328 787,8345 782,8366 787,8380 803,8392 812,8403 833,8405", 3200),
    Course(
        "Cameron Mills Rd",
        "COLLECTOR",
        """
        732,8231 735,8264 743,8297 755,8334 766,8364 761,8387 735,8398 708,8416
    """,
        2200,
    ),
    Course("Old Dominion Blvd", "LOCAL", "722,8310 725,8347 704,8372 690,8384 676,8403", 2800),
    Course("Tennessee Ave", "LOCAL", "668,8354 650,8367 664,8380 685,8390 703,8400 722,8407 742,8418", 200),
    Course("Crestwood Dr", "LOCAL", "673,8322 700,8317 722,8310 776,8307 814,8311 851,8318", 500),
    Course("Kenwood Ave", "LOCAL", "850,8262 850,8282 840,8304 830,8315", 1300),
    Course("Beverley Dr", "LOCAL", "675,8334 692,8346 715,8347 754,8332 794,8328", 300),
    Course("Fort Williams Pkwy", "LOCAL", "940,8100 944,8155 955,8188 966,8215", 1),
    Course("Trinity Dr", "LOCAL", "818,8126 840,8126 869,8129 891,8128 926,8135 943,8138", 1100),
    Course("Yale Dr", "LOCAL", "826,8081 832,8100 826,8126", 1),
    Course("Cambridge Rd", "LOCAL", "817,8080 817,8110 812,8141", 100),
    Course(
        "Taney Ave",
        "COLLECTOR",
        """
        985,8106 1003,8138 1047,8150 1097,8157 1141,8178 1183,8187 1210,8194 1240,8212
    """,
        3900,
    ),
    Course("Pegram St", "LOCAL", "1212,8172 1204,8180 1194,8198 1184,8223 1149,8249", 500),
    Course("Seminary Valley Dr", "LOCAL", "1047,8150 1060,8187", 4300),
    Course("Ridge Road Dr", "LOCAL", "732,8225 760,8275 766,8308", 2400),
)

INTERSTATES = {
    "I-395": """
        955,8352 968,8338 1000,8333 1040,8332 1070,8325 1105,8305 1140,8288 1180,8267 1225,8243 1262,8218 1290,8198
        1330,8182 1375,8169 1430,8148
    """,
    "I-495": """
        1390,7978 1345,7989 1300,7996 1260,8002 1210,8009 1173,8018 1150,8025 1120,8023 1080,8027 1038,8033
        1010,8033 978,8030 950,8027 913,8022 874,8017 830,8012 782,8007 752,8001 724,7996 680,7980 655,7969 634,7961
        598,7947 560,7940 520,7938 480,7934 440,7931 392,7931
    """,
}
"""Courses of the interstates; each is drawn as two carriageways."""

INTERCHANGES = (
    ("I-395", "King St"),
    ("I-395", "Seminary Rd"),
    ("I-395", "Duke St"),
    ("I-495", "Van Dorn St"),
    ("I-495", "Clermont Ave"),
    ("I-495", "Telegraph Rd"),
    ("I-495", "Richmond Hwy"),
)
"""Which streets have ramps to which interstate."""

OLD_TOWN_ORIGIN = "470,8051"
"""Where King St and Washington St cross: the origin of Old Town's grid."""

OLD_TOWN_TURN = 8.5
"""Degrees by which the grid is turned clockwise from the plane's north."""

SOUTH, NORTH, EAST, WEST = -3820.0, 3760.0, 2020.0, -2480.0
"""Feet from the origin; how far the ordinary streets of the grid reach."""


class GridStreet(NamedTuple):
    """A straight street of the grid: ``offset`` feet from the origin across it, ``first`` to ``last`` along it."""

    name: str
    offset: float
    first: float
    last: float
    road_class: str = "LOCAL"
    oneway: str = "B"


OLD_TOWN_NORTH_SOUTH = (
    GridStreet("Union St", 1910, -3090, 1880),
    GridStreet("Lee St", 1600, SOUTH, 3360),
    GridStreet("Fairfax St", 1270, SOUTH, 4560),
    GridStreet("Royal St", 945, SOUTH, 4560),
    GridStreet("Pitt St", 625, -3400, 4560),
    GridStreet("Saint Asaph St", 303, SOUTH, 4560),
    GridStreet("Washington St", -20, -3820, 3760, "PRIMARY"),
    GridStreet("Columbus St", -345, -3750, 3760),
    GridStreet("Alfred St", -655, SOUTH, 3760),
    GridStreet("Patrick St", -967, -3400, 4160, "PRIMARY", "FT"),
    GridStreet("Henry St", -1285, -2560, 4160, "PRIMARY", "TF"),
    GridStreet("Fayette St", -1605, -2560, 4160),
    GridStreet("Payne St", -1885, -3400, 3350),
    GridStreet("West St", -2165, -1660, 2950, "COLLECTOR"),
    GridStreet("Peyton St", -2465, -400, 1690),
)
"""Offsets to the east; from south to north."""

OLD_TOWN_EAST_WEST = (
    GridStreet("Second St", 4160, -1605, 1270),
    GridStreet("First St", 3760, -1605, 1600),
    GridStreet("Montgomery St", 3350, -1885, 2020),
    GridStreet("Madison St", 2950, -2165, 2020),
    GridStreet("Wythe St", 2540, -2165, 1270),
    GridStreet("Pendleton St", 2095, -2400, 2020),
    GridStreet("Oronoco St", 1690, -2680, 2020),
    GridStreet("Princess St", 1260, -2680, 1910),
    GridStreet("Queen St", 860, -2640, 2330),
    GridStreet("Cameron St", 425, -2520, 2100, "COLLECTOR", "TF"),
    GridStreet("Prince St", -400, -2400, 2300, "COLLECTOR", "FT"),
    GridStreet("Wolfe St", -1240, -2165, 2200),
    GridStreet("Wilkes St", -1660, -2165, 1910),
    GridStreet("Gibbon St", -2090, -1885, 1910),
    GridStreet("Franklin St", -2560, -1885, 1910),
    GridStreet("Jefferson St", -2960, -1885, 1910),
    GridStreet("Green St", -3400, -1885, 1600),
    GridStreet("Church St", -3760, -967, 303),
)
"""Offsets to the north; from west to east. King St and Duke St are main roads."""

RICHMOND_FEEDERS = (
    ("Patrick St", ((-967, 4160), (-1090, 4900), (-1260, 5450)), "FT"),
    ("Henry St", ((-1285, 4160), (-1270, 4800), (-1260, 5450)), "TF"),
    ("Henry St", ((-1285, -2560), (-1180, -3000), (-967, -3400)), "TF"),
)
"""Where the one-way pair of Patrick St and Henry St joins, in feet of the grid."""

RICHMOND_SOUTH = ((-967, -3400), (-1010, -3820), (-1450, -4500), (-2100, -5300))
"""Richmond Hwy from the grid to the city's southern edge, in feet of the grid."""

AVENUES = (
    Course("Rosemont Ave", "LOCAL", "632,8094 604,8098 576,8102", 1, "Commonwealth Ave"),
    Course("Linden St", "LOCAL", "637,8103 607,8106 570,8111", 1, "Commonwealth Ave"),
    Course("Maple St", "LOCAL", "641,8112 609,8114 563,8119", 1, "Commonwealth Ave"),
    Course("Walnut St", "LOCAL", "690,8112 664,8114 643,8120 612,8122 566,8126", 1, "Commonwealth Ave"),
    Course("Oak St", "LOCAL", "646,8130 615,8131 566,8136", 1, "Commonwealth Ave"),
    Course("Myrtle St", "LOCAL", "651,8144 621,8145 600,8148", 1, "Commonwealth Ave"),
    Course("Spring St", "LOCAL", "655,8157 625,8157 568,8163", 1, "Commonwealth Ave"),
    Course("Glendale Ave", "LOCAL", "658,8166 628,8167 572,8173 555,8174", 1, "Commonwealth Ave"),
    Course("Luray Ave", "LOCAL", "660,8173 629,8175 574,8180 530,8184", 1, "Commonwealth Ave"),
    Course("Alexandria Ave", "LOCAL", "662,8182 631,8184 575,8188 526,8192", 1, "Commonwealth Ave"),
    Course("Nelson Ave", "LOCAL", "664,8191 632,8192 576,8197 521,8200", 1, "Commonwealth Ave"),
    Course("Monroe Ave", "COLLECTOR", "664,8200 634,8202 577,8206 500,8212", 1, "Commonwealth Ave"),
    Course("Mason Ave", "LOCAL", "663,8209 635,8210 578,8214 541,8217", 1, "Commonwealth Ave"),
    Course("Duncan Ave", "LOCAL", "580,8222 541,8226 501,8230", 200),
    Course("Bellefonte Ave", "LOCAL", "662,8226 630,8227 582,8231 500,8238", 1, "Commonwealth Ave"),
    Course("Howell Ave", "LOCAL", "661,8234 629,8235 583,8239 492,8247", 1, "Commonwealth Ave"),
    Course("Windsor Ave", "LOCAL", "660,8242 627,8242 585,8247 499,8254", 1, "Commonwealth Ave"),
    Course("Custis Ave", "LOCAL", "658,8249 625,8250 586,8254 485,8263", 1, "Commonwealth Ave"),
    Course("Del Ray Ave", "LOCAL", "656,8258 621,8257 587,8261 520,8267", 1, "Commonwealth Ave"),
    Course("Oxford Ave", "LOCAL", "618,8265 589,8268 524,8274", 1, "Commonwealth Ave"),
    Course("Randolph Ave", "LOCAL", "590,8276 521,8282", 100),
    Course("Stewart Ave", "LOCAL", "591,8284 519,8290", 100),
    Course("Calvert Ave", "LOCAL", "594,8293 506,8300", 100),
    Course("Raymond Ave", "LOCAL", "605,8300 595,8301 507,8309", 100),
    Course("Hume Ave", "LOCAL", "602,8308 597,8309 509,8317", 100),
    Course("Clifford Ave", "LOCAL", "598,8316 511,8324", 100),
    Course("La Verne Ave", "LOCAL", "600,8324 530,8331", 100),
    Course("Ashby St", "LOCAL", "588,8333 545,8338", 100),
    Course("Evans La", "LOCAL", "566,8352 511,8352", 100),
    Course("Lynhaven Dr", "LOCAL", "571,8362 512,8361", 100),
    Course("Reed Ave", "LOCAL", "611,8372 568,8371 512,8368", 1, "Commonwealth Ave"),
    Course("Wesmond Dr", "LOCAL", "567,8378 513,8376", 100),
    Course("Wayne St", "LOCAL", "589,8150 598,8176 602,8205", 600),
    Course("De Witt Ave", "LOCAL", "555,8174 552,8198 553,8216 562,8263 568,8290 572,8318", 1300),
    Course("Leslie Ave", "LOCAL", "532,8184 536,8209 540,8240 546,8282 552,8321", 1300),
    Course("Clyde Ave", "LOCAL", "549,8218 557,8263", 1600),
    Course("La Grande Ave", "LOCAL", "521,8228 526,8274", 1900),
    Course("Burgess Ave", "LOCAL", "541,8334 539,8351 540,8377", 3400),
    Course("Turner Ave", "LOCAL", "636,8206 647,8232 641,8258", 1600),
)
"""The straight streets of Rosemont, Del Ray and Lynhaven."""
