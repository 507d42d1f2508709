/** Duty: mirrors of bundles as a person gives them to a controller. Pure. */

/** One source of an offer is the controller itself. */
export const MIRRORS_MAX = 7;
const LENGTH_MAX = 400;

/** "https://a.example/bundles,http://b.example": below each are bundles by digest. A sentence: what is wrong. */
export function parseMirrors(text: string): readonly string[] | string {
  const parts = text.split(",").map((part) => part.trim()).filter((part) => part !== "");
  if (parts.length > MIRRORS_MAX) return `${parts.length} mirrors, at most ${MIRRORS_MAX} are taken`;
  for (const part of parts) {
    const url = URL.canParse(part) ? new URL(part) : null;
    const isGood = url !== null && /^https?:$/.test(url.protocol) && url.search + url.hash === "" &&
      url.username + url.password === "" && part.length <= LENGTH_MAX && !/\s/.test(part);
    if (!isGood) {
      return `"${part}": must be http:// or https:// with no password and no query, up to ${LENGTH_MAX} characters`;
    }
  }
  return parts.map((part) => part.replace(/\/+$/, ""));
}
