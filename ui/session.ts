/**
 * Who asks: a name, a role, and what proves that a change is meant. Pure types and one order.
 *
 * Roles are steps: who may do what an operator does may do all that a viewer does. A visitor comes from the unix
 * socket (trusted by the mode of its file), from the cookie of a session, or from a token.
 */
import { ACCESS_ROLES, type AccessRole } from "../appliance/roles.ts";

export { ACCESS_ROLES };
export type { AccessRole };

export interface Visitor {
  readonly name: string;
  readonly role: AccessRole;
  /**
   * What a changing request of this session must say in the header `x-csrf-token`. Null: not by cookie, so no other site
   * can make the request.
   */
  readonly csrf: string | null;
}

/** Who comes by the unix socket. */
export const LOCAL: Visitor = { name: "local", role: "admin", csrf: null };

/** Whether he may do what `needed` may. */
export function may({ role }: Visitor, needed: AccessRole): boolean {
  return allows(role, needed);
}

/** Whether a visitor of `role` may do what `needed` may. */
export function allows(role: AccessRole, needed: AccessRole): boolean {
  return ACCESS_ROLES.indexOf(role) >= ACCESS_ROLES.indexOf(needed);
}

/** Pages, given who asks; null: nobody who is known. They answer whatever is no path of the API. */
export type PageHandler = (request: Request, visitor: Visitor | null) => Response | Promise<Response>;

/** The pages of a node, while they are served. */
export interface PageServer {
  readonly handle: PageHandler;
  /** Ends what is under way for those who look. */
  close(): void;
}
