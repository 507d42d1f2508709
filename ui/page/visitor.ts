/** Who looks at a page, as the API has it, and what he may do there. Pure. */
import { ACCESS_ROLES, type AccessRole, allows, LOCAL, type Visitor } from "../session.ts";

export { ACCESS_ROLES as VISITOR_ROLES, LOCAL as LOCAL_VISITOR };
export type { AccessRole as VisitorRole, Visitor };

export function may({ role }: Visitor, needed: AccessRole): boolean {
  return allows(role, needed);
}
