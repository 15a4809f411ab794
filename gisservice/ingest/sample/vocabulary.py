"""Words: names for the generated streets, for people who do not exist, and for trees."""

from __future__ import annotations

STREET_NAMES = tuple(
    """
    Abingdon Adams Albany Alabama Allison Alvord Anne Arell Argyle Armistead Ashland Ashleigh Aspen Auburn Avalon
    Bailey Ballard Baltic Barbour Barclay Barnum Barrister Bartholomew Bayliss Bellaire Belle Benning Bernard
    Berkeley Birch Bishop Blackburn Bluestone Bolling Bouldin Boyce Boyle Braddock Bradford Branch Brawner
    Breckinridge Brent Briar Brighton Bristol Broadview Brockett Brompton Brookside Bruce Bryan Buchanan Buckingham
    Burke Burnside Byrd Calhoun Callahan Calvin Campbell Canterbury Carlisle Caroline Carpenter Carriage Carroll
    Carter Caton Cavalier Century Chalfonte Chancel Chapel Chapman Charlotte Chase Chestnut Chetworth Christopher
    Churchill Clara Clay Clayton Cleveland Clifton Clover Cloverway Colfax Colonel College Colonial Colvin Concord
    Cooper Copley Cornell Cottage Courtland Coventry Cragmont Craig Cranford Crescent Crestview Cromwell Crown
    Culpeper Cumberland Curtis Dabney Dahlgren Dale Daniel Dartmouth Davenport Davis Dearborn Deerfield Delaware
    Denby Derby Devon Dewey Diamond Dinwiddie Dogwood Dominion Donelson Dorchester Dove Downham Drayton Dulany
    Dumbarton Dunbar Dundee Dunmore Dunster Earl Early Eastview Edgehill Edgemont Edison Edmund Elbert Elliott
    Ellsworth Elmwood Emerson Enderby Essex Everett Ewing Fairbanks Fairhill Fairview Farm Farragut Fauquier Fendall
    Fenwick Ferncliff Fielding Finley Fitzgerald Fitzhugh Florence Floyd Fontaine Forrest Foster Foxcroft Francis
    Frazier Frederick French Frost Fulton Furman Gaillard Gardner Garfield Garland Garnett Garrison Garden Gates
    Gentry Gloucester Goddard Golf Goodwin Gordon Gorgas Grand Grant Graves Grayson Greenleaf Greenway Gresham
    Greystone Griffith Grover Grove Guthrie Haddon Halcyon Halifax Hamilton Hampshire Hancock Hanover Hanson Hardee
    Harding Harrison Hartford Harvard Harwich Hawthorne Hayes Hazel Heather Henderson Herbert Heritage Hermitage
    Hickory Highland Hilltop Hilton Hillside Hobart Holly Holmes Homewood Hooper Hopkins Houston Hudson Hunter
    Huntington Imboden Ingalls Ingle Ingram Irving Irwin Ivanhoe Ivy Ivor Jackson Jamestown Jasmine Jasper Jay
    Jenkins Jennifer Jewell Johnston Joyce Julian Juniper Kahn Kathmoor Keating Keith Kelley Kemper Kendall Kennedy
    Kent Kentucky Keystone Kilburn Kilmer Kimberly Kingsley Kirkland Kirkpatrick Knapp Knole Knox Lafayette Lamond
    Landover Lane Langley Lansing Larchmont Laurel Lawrence Lawton Leaf Lealand Leeward Leigh Lenox Leverett
    Lexington Libby Lilac Lincoln Linnean Lisle Livermore Lloyd Locust Logan Longfellow Longstreet Longview Lorraine
    Loudoun Lowell Ludlow Luther Lynn Lyles Lyndale Macdonald Magnolia Mahone Malcolm Manor Mansfield Mansion
    Marigold Marion Marlboro Marlee Marshall Martin Maryland Masters Maury Mayer Mayfield Mayflower Meade Meadow
    Melrose Menokin Mercer Meredith Merton Michigan Middleton Milan Milton Minor Moncure Monticello Moore Moray
    Mosby Moss Mulberry Myers Nash Naylor Neale Newlands Newport Nichols Norfolk Norris Northampton Norton Norwood
    Notabene Oakcrest Oakland Oakley Ogden Olympia Onley Orchard Orleans Osage Otis Overhill Overlook Owen Palmer
    Park Parker Parkside Patterson Paxton Payton Peacock Pearl Pearson Pelham Pemberton Pender Penn Pepper Percy
    Perry Pershing Peyton Phelps Phillips Pickens Pierce Pierpont Pinecrest Pine Plymouth Poe Polk Pollard Poplar
    Portner Porter Powell Powhatan Prescott Preston Princeton Pryor Putnam Pullman Quaint Quincy Radford Raleigh
    Ramsay Randall Ravens Ravensworth Reading Rector Redwood Regency Regent Reservoir Reynard Rhoades Richards
    Richelieu Richenbacher Ridge Ridgefield Ripon River Roan Roberts Robinson Rockwood Rodgers Roosevelt Rose Roth
    Rucker Ruffner Rust Rutland Rutherford Salem Sanborn Sanford Saxony Saylor Scott Scroggins Sebring Selby Selma
    Semmes Seneca Seward Shady Shannon Sheffield Shelley Shenandoah Sheridan Sherwood Shirley Shooters Sibley
    Sigsbee Skyhill Skyline Smallwood Somerset Somerville Southview Spencer Spotsylvania Springfield Spruce Stadium
    Stafford Stanton Starling Stephens Sterling Stonebridge Stonegate Stonewall Stovall Strathblane Strutfield
    Stuart Summers Summit Sunset Surry Sutton Suffolk Sycamore Talbot Tarrytown Taft Tawny Taylor Templeton Terrett
    Thayer Thomas Thornton Timber Tivoli Tobey Todd Torrey Tower Townsend Tracy Travis Trent Truman Tucker Tulane
    Tulip Tupelo Tyler Uhler Underhill Underwood Union Upland Upshur Upton Usher Valley Vance Vassar Venable Vermont
    Vernon Vicar Victoria View Viewpoint Village Vincent Virginia Vista Wade Wakefield Walleston Walker Wallace
    Walton Ware Warfield Warren Warwick Waterford Watkins Waverly Wayland Webster Welby Wellesley Wellington Wells
    Westover Westview Westminster Weston Wexford Wheaton Whistler Whitefield Whitman Wicklow Wilcox Wilkinson
    Williams Willow Wilmot Wilson Winchester Windom Winfield Winston Winter Wirt Witter Woodbine Woodbury Woodland
    Woodlawn Woodley Woodmere Woodmont Woods Worth Wright Wyatt Wyckoff Yarmouth York Yorktown Yates Zabriskie
    """.split()
)

FIRST_NAMES = tuple(
    """
    Ada Adam Agnes Alan Alba Alma Amos Anita Anton Ari Asa Audrey Basil Beatriz Ben Berta Bruno Caleb Carla Carmen
    Cecil Celia Clara Colin Cora Dana Daria Dawit Delia Dina Edgar Edith Elena Eli Elsa Emil Enid Esther Ezra Fatima
    Felix Flora Gail Gideon Greta Hana Hanna Hector Helen Hugo Ibrahim Ida Imani Inez Iris Ivan Jonas Josefa Judith
    Karim Kira Lars Leila Lena Leo Lidia Lila Lois Luis Lydia Mabel Marco Marta Maya Milo Mina Mira Nadia Nestor
    Nina Nora Olga Omar Oscar Otto Pablo Paula Petra Ramon Rosa Ruth Sami Sara Selam Silas Simon Sofia Stella Tariq
    Teresa Theo Tomas Ursula Vera Viktor Wanda Yara Yonas Yusuf Zara Zoe
    """.split()
)
LAST_NAMES = tuple(
    """
    Abbot Aldane Amsel Ardmore Ashgrove Avelar Barrowby Belmar Bexley Birkett Bramwell Brightwater Calloway Carvossa
    Castell Chilworth Claybrook Corvane Cranleigh Dallimore Darrowby Delmonte Dunstable Eastlake Elderton Elmswell
    Estrado Fairweather Falkner Fenholt Ferrante Fieldstone Fosgate Gainsworth Galloway Gebremar Glenhaven Goodacre
    Greystoke Hadleigh Halvorsen Harkness Hazelton Heatherly Hollins Inverell Islington Jarrow Kesselman Kingsmead
    Kirkbride Lakeman Langmere Larkwood Lindqvist Lockridge Lorimer Maddern Marchetti Marlowe Meadowcroft Merriday
    Millbank Montclare Moorhouse Nakadai Netherby Norcross Oakhurst Okonjo Ollerton Osterman Paddock Pellegrin
    Penhallow Pinkerton Quarrels Quillfeather Radcliffe Ravenel Redfern Ridgeway Rosedale Rothmere Sandoval Saxby
    Selkirk Silverton Standish Stillwell Swanson Tamsin Tennant Thackery Thornbury Tilbury Trevanion Underhay
    Valdane Vickery Wakeling Wexcombe Whitlock Winterbourne Woldemar Wyndham Yardley Zellner
    """.split()
)
COMPANY_WORDS = (
    "Oldport Holdings LLC",
    "Blue Heron Properties LLC",
    "Tidewater Lot Trust",
    "Cardinal Row Partners LP",
    "Dogwood Estates Inc",
    "Three Runs Realty LLC",
    "Harbor Lamp Capital LLC",
    "Piedmont Stone Co",
)
"""Invented owners that are no persons."""

STREET_TREES = (
    ("Willow oak", "Quercus phellos"),
    ("Red maple", "Acer rubrum"),
    ("Ginkgo", "Ginkgo biloba"),
    ("American elm", "Ulmus americana"),
    ("Honey locust", "Gleditsia triacanthos"),
    ("London plane", "Platanus x acerifolia"),
    ("Crape myrtle", "Lagerstroemia indica"),
    ("Zelkova", "Zelkova serrata"),
    ("Eastern redbud", "Cercis canadensis"),
    ("Pin oak", "Quercus palustris"),
)
PARK_TREES = (
    ("Tulip tree", "Liriodendron tulipifera"),
    ("White oak", "Quercus alba"),
    ("American beech", "Fagus grandifolia"),
    ("American sycamore", "Platanus occidentalis"),
    ("American holly", "Ilex opaca"),
    ("Black gum", "Nyssa sylvatica"),
    ("River birch", "Betula nigra"),
    ("Bald cypress", "Taxodium distichum"),
    ("Loblolly pine", "Pinus taeda"),
    ("Pawpaw", "Asimina triloba"),
)

ASSESSOR_NOTES = (
    "check measurements at next visit",
    "appeal pending",
    "permit for addition open",
    "exemption to be renewed",
    "sale not at arm's length",
    "photo out of date",
)
