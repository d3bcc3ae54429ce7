// No setting is needed for the package.
export default {
  mode: "production",
  entry: "./main.js",
};
