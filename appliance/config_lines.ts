/** Where each key of a configuration stands: the outline of its TOML text. */
export { joinKey, type Place, placeKeys } from "../filter/toml_places.ts";
