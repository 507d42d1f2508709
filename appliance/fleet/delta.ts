/** Duty: what of a report changed, and the report that follows from a change. Pure: sections are replaced as a whole. */
import type { Report, SectionName } from "./messages.ts";
import { SECTIONS } from "./messages.ts";

/** The sections of `after` that are not those of `before`; null: there is none before. */
export function changed(before: Report | null, after: Report): Partial<Report> {
  const names = SECTIONS.filter((name) =>
    before === null || JSON.stringify(before[name]) !== JSON.stringify(after[name])
  );
  return Object.fromEntries(names.map((name) => [name, after[name]]));
}

/** Null: it is not whole, and there is nothing that it could build on. */
export function merged(before: Report | null, sections: Partial<Report>): Report | null {
  const missing = (name: SectionName) => (sections[name] ?? before?.[name]) === undefined;
  return SECTIONS.some(missing) ? null : { ...before, ...sections } as Report;
}
