// One small thing about features of tiles that several files need.

/** The value of a feature's property, or undefined; a column may be called like a member of every object. */
export function valueOf(feature, column) {
  return Object.hasOwn(feature.props, column) ? feature.props[column] : undefined;
}
