"""Arrow and Folium work in a server without loading pandas, which stays at hand for who needs it."""

from __future__ import annotations

import subprocess
import sys

PROGRAM = """
import sys
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from gisservice.maps.sparing import keep_pandas_from_arrow

keep_pandas_from_arrow()
numbers = pa.array([3, None, 5])
assert pc.fill_null(numbers, 0).to_numpy().tolist() == [3, 0, 5]
assert pa.array(np.arange(3)).take(pa.array([2])).to_pylist() == [2]
from gisservice.maps import foliummap
assert "L.map(" in foliummap.build(-77.05, 38.81, 13, 2).script
assert "pandas" not in sys.modules
assert pa.table({"number": numbers}).to_pandas()["number"].sum() == 8
assert "pandas" in sys.modules
keep_pandas_from_arrow()
assert pa.array(__import__("pandas").Series([1, 2])).to_pylist() == [1, 2]
"""


def test_arrow_and_folium_load_no_pandas_until_a_frame_is_asked_for():
    subprocess.run([sys.executable, "-c", PROGRAM], check=True)
