/** Who may do what: the steps that the API knows too (ui/session.ts takes its own from here). Pure. */
export const ACCESS_ROLES = ["viewer", "operator", "admin"] as const;
/** viewer: looks; operator: moves traffic, drills, captures; admin: configuration, updates, users, certificates. */
export type AccessRole = (typeof ACCESS_ROLES)[number];
