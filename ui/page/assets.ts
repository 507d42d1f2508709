/**
 * Script and style of the pages, as texts that are part of the program: nothing is read from disk or from elsewhere at
 * run time. Pure.
 */
import uplotStyle from "uplot/dist/uPlot.min.css" with { type: "text" };
import uplotScript from "uplot/dist/uPlot.iife.min.js" with { type: "text" };
import pageStyle from "./assets/page.css" with { type: "text" };
import pageScript from "./assets/page.js" with { type: "text" };
import plotScript from "./assets/plot.js" with { type: "text" };
import icon from "./assets/icon.svg" with { type: "text" };

export interface Asset {
  readonly type: string;
  readonly text: string;
}

const SCRIPT = "text/javascript; charset=utf-8", STYLE = "text/css; charset=utf-8";

/** By name below /assets/. */
export const ASSETS: Readonly<Record<string, Asset>> = {
  "page.css": { type: STYLE, text: pageStyle },
  "uplot.css": { type: STYLE, text: uplotStyle },
  "page.js": { type: SCRIPT, text: pageScript },
  "plot.js": { type: SCRIPT, text: plotScript },
  "uplot.js": { type: SCRIPT, text: uplotScript },
  "icon.svg": { type: "image/svg+xml", text: icon },
};

/** FNV-1a over the text: changes with it, which is all a validator has to do. */
export function tagOf(text: string): string {
  let hash = 0x811c9dc5;
  for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193) >>> 0;
  return `"${hash.toString(16)}-${text.length.toString(16)}"`;
}
