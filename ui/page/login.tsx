/** Login, and the first account of a node that has none. Pure. */
import { Bare } from "./layout.tsx";

interface LoginProps {
  readonly node: string;
  /** There is no account yet. */
  readonly fresh: boolean;
  /** Why it was refused; empty: it was not. */
  readonly fault: string;
  readonly name: string;
}

export function Login({ node, fresh, fault, name }: LoginProps) {
  return (
    <Bare title={fresh ? "First account" : "Log in"}>
      <p class="note">{node}</p>
      {fresh
        ? <p>This node has no account yet. Its one-time code stands on its console and in root's log.</p>
        : null}
      {fault === "" ? null : <p class="result" data-ok="false" role="alert">{fault}</p>}
      <form method="post" action="/login" class="login">
        {fresh
          ? (
            <label>
              <span>One-time code</span>
              <input name="code" required autocomplete="one-time-code" autofocus />
            </label>
          )
          : null}
        <label>
          <span>Name</span>
          <input name="name" required autocomplete="username" value={name} autofocus={!fresh} />
        </label>
        <label>
          <span>Password</span>
          <input
            name="password"
            type="password"
            required
            autocomplete={fresh ? "new-password" : "current-password"}
          />
        </label>
        <button type="submit">{fresh ? "Make the account" : "Log in"}</button>
      </form>
    </Bare>
  );
}
