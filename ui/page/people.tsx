/** Users, tokens and who changed what: for admins. Pure. */
import type { TokenView, UserView } from "../access/view.ts";
import { wallTime } from "../paint.ts";
import { ACCESS_ROLES, type AccessRole, type Visitor } from "../session.ts";
import type { AuditLine, Outcome } from "./means.ts";
import { Card, Csrf, Result, Table } from "./parts.tsx";

export interface PeopleProps {
  readonly visitor: Visitor;
  readonly users: readonly UserView[];
  readonly tokens: readonly TokenView[];
  readonly audited: readonly AuditLine[];
  /** What came of the last form; null: there was none. */
  readonly outcome: Outcome | null;
  /** A token that was just made: it is shown this once. */
  readonly made: string | null;
  readonly nowMs: number;
}

const MEANING: Readonly<Record<AccessRole, string>> = {
  viewer: "looks",
  operator: "switches, drills, arms",
  admin: "configures, lets people in",
};

export function People(props: PeopleProps) {
  const { outcome, made } = props;
  return (
    <>
      {outcome === null ? null : <Result ok={outcome.ok} text={outcome.text} />}
      {made === null ? null : (
        <Card
          id="made"
          title="The token"
          note="It is shown this once. For the header Authorization: Bearer."
          wide
        >
          <p class="code">{made}</p>
        </Card>
      )}
      <Users {...props} />
      <Tokens {...props} />
      <AddUser visitor={props.visitor} />
      <AddToken visitor={props.visitor} />
      <Audit audited={props.audited} />
    </>
  );
}

function Roles({ selected }: { selected: AccessRole }) {
  return (
    <select name="role">
      {ACCESS_ROLES.map((role) => (
        <option value={role} selected={role === selected}>{role}: {MEANING[role]}</option>
      ))}
    </select>
  );
}

function Users({ users, visitor }: PeopleProps) {
  const rows = users.map(({ name, role, createdMs }) => [
    name,
    role,
    wallTime(createdMs).slice(0, 10),
    <details>
      <summary>Change {name}</summary>
      <form method="post" action="/users/role" class="form">
        <Csrf visitor={visitor} />
        <input type="hidden" name="name" value={name} />
        <label>
          <span>Role</span>
          <Roles selected={role} />
        </label>
        <button type="submit">Give the role</button>
      </form>
      <form method="post" action="/users/password" class="form">
        <Csrf visitor={visitor} />
        <input type="hidden" name="name" value={name} />
        <label>
          <span>New password</span>
          <input name="password" type="password" required autocomplete="new-password" />
        </label>
        <button type="submit">Set it</button>
      </form>
      <form method="post" action="/users/remove" class="form">
        <Csrf visitor={visitor} />
        <input type="hidden" name="name" value={name} />
        <button type="submit" class="quiet">Remove {name} and end the sessions</button>
      </form>
    </details>,
  ]);
  const columns = ["Name", "Role", "Since", "Change"].map((head) => ({ head }));
  return (
    <Card id="users" title="Users" note="A change ends the user's sessions. The only admin stays one." wide>
      <Table name="Users" columns={columns} rows={rows} empty="There are none: root is here by the socket." />
    </Card>
  );
}

function AddUser({ visitor }: { visitor: Visitor }) {
  return (
    <Card id="add-user" title="Add a user">
      <form method="post" action="/users/add" class="form">
        <Csrf visitor={visitor} />
        <label>
          <span>Name</span>
          <input name="name" required autocomplete="off" />
        </label>
        <label>
          <span>Password</span>
          <input name="password" type="password" required autocomplete="new-password" />
        </label>
        <label>
          <span>Role</span>
          <Roles selected="viewer" />
        </label>
        <p class="actions">
          <button type="submit">Add</button>
        </p>
      </form>
    </Card>
  );
}

function Tokens({ tokens, visitor, nowMs }: PeopleProps) {
  const rows = tokens.map(({ id, name, role, createdMs, expiresMs }) => [
    name,
    role,
    wallTime(createdMs).slice(0, 10),
    expiresMs === null
      ? "until it is revoked"
      : expiresMs < nowMs
      ? "it has ended"
      : `until ${wallTime(expiresMs).slice(0, 10)}`,
    <details>
      <summary>Revoke {name}</summary>
      <form method="post" action="/tokens/revoke" class="form">
        <Csrf visitor={visitor} />
        <input type="hidden" name="id" value={id} />
        <button type="submit" class="quiet">Revoke it now</button>
      </form>
    </details>,
  ]);
  const columns = ["For", "Role", "Since", "Lives", "Change"].map((head) => ({ head }));
  return (
    <Card id="tokens" title="Tokens" note="For machines. A secret cannot be shown again." wide>
      <Table name="Tokens" columns={columns} rows={rows} empty="There are none." />
    </Card>
  );
}

function AddToken({ visitor }: { visitor: Visitor }) {
  return (
    <Card id="add-token" title="Make a token">
      <form method="post" action="/tokens/add" class="form">
        <Csrf visitor={visitor} />
        <label>
          <span>What for</span>
          <input name="name" required autocomplete="off" />
        </label>
        <label>
          <span>Role</span>
          <Roles selected="viewer" />
        </label>
        <label>
          <span>Days; 0 is until it is revoked</span>
          <input name="days" inputmode="numeric" pattern="[0-9]{1,4}" value="365" required />
        </label>
        <p class="actions">
          <button type="submit">Make</button>
        </p>
      </form>
    </Card>
  );
}

function Audit({ audited }: { audited: readonly AuditLine[] }) {
  const rows = audited.toReversed().map(({ at, who, from, what, result, detail = "" }) => [
    at.slice(0, 19).replace("T", " "),
    who,
    from === "" ? "here" : from,
    <span class="code">{what}</span>,
    result,
    <span class="code">{detail}</span>,
  ]);
  const columns = ["When (UTC)", "Who", "From", "What", "Result", "With"].map((head) => ({ head }));
  return (
    <Card id="audit" title="Who changed what" note="Done or refused; the newest first, at most 200." wide>
      <Table name="Audit log" columns={columns} rows={rows} empty="Nothing was changed so far." />
    </Card>
  );
}
