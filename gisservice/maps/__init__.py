"""Public map pages: HTML text around maps that Folium builds. Holds no data; whoever serves it passes links in."""
