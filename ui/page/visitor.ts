/** Who looks at a page, and what he may do there. Pure: who he is was found out by whoever serves the pages. */

/** Each may do what those before it may. */
export const VISITOR_ROLES = ["viewer", "operator", "admin"] as const;
export type VisitorRole = (typeof VISITOR_ROLES)[number];

export interface Visitor {
  readonly name: string;
  readonly role: VisitorRole;
  /** Has to come back with everything that changes something; null: he comes by a way that no other site can use. */
  readonly csrf: string | null;
}

/** Who comes by the unix socket. */
export const LOCAL_VISITOR: Visitor = { name: "local", role: "admin", csrf: null };

export function may(visitor: Visitor, needed: VisitorRole): boolean {
  return VISITOR_ROLES.indexOf(visitor.role) >= VISITOR_ROLES.indexOf(needed);
}
