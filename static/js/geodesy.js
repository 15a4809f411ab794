// Lengths and areas on the ellipsoid of WGS 84. Positions are {lat, lng} in degrees; results are metres and square
// metres. Never on the plane of the map, which is Web Mercator and a quarter too long at this latitude.

const MAJOR = 6378137;
const FLATTENING = 1 / 298.257223563;
const MINOR = MAJOR * (1 - FLATTENING);
const ECCENTRICITY2 = FLATTENING * (2 - FLATTENING);
const ECCENTRICITY = Math.sqrt(ECCENTRICITY2);
const ROUNDS = 200; // of the iteration; a handful are enough but for places opposite each other on the globe

/** The length of the geodesic between two positions (Vincenty 1975, inverse); NaN where it does not converge. */
export function distance(from, to) {
  const difference = radians(to.lng - from.lng);
  const [u1, u2] = [from, to].map(({ lat }) => Math.atan((1 - FLATTENING) * Math.tan(radians(lat))));
  const [sin1, cos1, sin2, cos2] = [Math.sin(u1), Math.cos(u1), Math.sin(u2), Math.cos(u2)];
  let lambda = difference;
  for (let round = 0; round < ROUNDS; round += 1) {
    const sinSigma = Math.hypot(cos2 * Math.sin(lambda), cos1 * sin2 - sin1 * cos2 * Math.cos(lambda));
    if (sinSigma === 0) return 0;
    const cosSigma = sin1 * sin2 + cos1 * cos2 * Math.cos(lambda);
    const sigma = Math.atan2(sinSigma, cosSigma);
    const sinAlpha = (cos1 * cos2 * Math.sin(lambda)) / sinSigma;
    const cos2Alpha = 1 - sinAlpha ** 2;
    const middle = cos2Alpha === 0 ? 0 : cosSigma - (2 * sin1 * sin2) / cos2Alpha;
    const c = (FLATTENING / 16) * cos2Alpha * (4 + FLATTENING * (4 - 3 * cos2Alpha));
    const before = lambda;
    const bend = sigma + c * sinSigma * (middle + c * cosSigma * (2 * middle ** 2 - 1));
    lambda = difference + (1 - c) * FLATTENING * sinAlpha * bend;
    if (Math.abs(lambda - before) < 1e-12) return arc(sigma, sinSigma, cosSigma, cos2Alpha, middle);
  }
  return NaN;
}

function arc(sigma, sinSigma, cosSigma, cos2Alpha, middle) {
  const u2 = (cos2Alpha * (MAJOR ** 2 - MINOR ** 2)) / MINOR ** 2;
  const a = 1 + (u2 / 16384) * (4096 + u2 * (-768 + u2 * (320 - 175 * u2)));
  const b = (u2 / 1024) * (256 + u2 * (-128 + u2 * (74 - 47 * u2)));
  const inner = cosSigma * (2 * middle ** 2 - 1) - (b / 6) * middle * (4 * sinSigma ** 2 - 3) * (4 * middle ** 2 - 3);
  return MINOR * a * (sigma - b * sinSigma * (middle + (b / 4) * inner));
}

/** The length of a line through positions. */
export function length(positions) {
  return positions.slice(1).reduce((sum, position, index) => sum + distance(positions[index], position), 0);
}

/**
 * The area that a closed line around positions encloses: that of the polygon of great circles on the sphere of the
 * ellipsoid's own area, at authalic latitudes (Snyder 1987, 3-11 and 3-12).
 */
export function area(positions) {
  const places = positions.map(({ lat, lng }) => [Math.tan(authalic(radians(lat)) / 2), radians(lng)]);
  let excess = 0;
  places.forEach(([t1, lng1], index) => {
    const [t2, lng2] = places[(index + 1) % places.length];
    const turn = Math.atan2(Math.sin(lng2 - lng1), Math.cos(lng2 - lng1)); // the shorter way around
    excess += 2 * Math.atan2(Math.tan(turn / 2) * (t1 + t2), 1 + t1 * t2);
  });
  return Math.abs(excess) * (MAJOR ** 2 / 2) * q(1);
}

function authalic(latitude) {
  return Math.asin(Math.max(-1, Math.min(1, q(Math.sin(latitude)) / q(1))));
}

/** Twice the ellipsoid's area from the equator to a latitude of this sine, in shares of 2 pi times MAJOR squared. */
function q(sine) {
  const es = ECCENTRICITY * sine;
  return (1 - ECCENTRICITY2) * (sine / (1 - es ** 2) + Math.atanh(es) / ECCENTRICITY);
}

function radians(degrees) {
  return (degrees * Math.PI) / 180;
}
