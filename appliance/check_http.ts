/**
 * A check by HTTP or HTTPS: one GET, one status, no body, no connection kept, no redirect followed.
 */
import { request as requestHttp } from "node:http";
import { request as requestHttps } from "node:https";
import type { CheckConfig } from "./config.ts";
import type { Fault } from "./failover/check.ts";

const CODE: Readonly<Record<string, Fault>> = {
  ECONNREFUSED: "refused",
  ECONNRESET: "reset",
  EPIPE: "reset",
  ENETUNREACH: "unreachable",
  EHOSTUNREACH: "unreachable",
  ETIMEDOUT: "timeout",
  EPERM: "not_permitted",
  EACCES: "not_permitted",
};

/** By code where there is one; TLS libraries say it in words. */
function faultOf(error: Error & { code?: string }): Fault {
  const known = CODE[error.code ?? ""];
  if (known !== undefined) return known;
  if (/certificate|CERT_|UnknownIssuer|NotValidForName|self.signed/i.test(`${error.code} ${error.message}`)) {
    return "certificate";
  }
  if (/refused/i.test(error.message)) return "refused";
  return /reset|closed|eof/i.test(error.message) ? "reset" : "other";
}

function isWanted(status: number, wanted: number): boolean {
  return wanted === 0 ? status >= 200 && status < 400 : status === wanted;
}

/** Ask once; an answer after the timeout is none. */
export function askHttp(config: CheckConfig): Promise<Fault> {
  const url = new URL(config.url ?? "");
  const request = url.protocol === "https:" ? requestHttps : requestHttp;
  const name = config.serverName ?? url.hostname;
  return new Promise((resolve) => {
    const asked = request(url, {
      agent: false,
      method: "GET",
      headers: { host: name, "user-agent": "remediate-check", connection: "close" },
      ...(url.protocol === "https:" && {
        rejectUnauthorized: config.verifyTls,
        ...(config.serverName !== null && { servername: config.serverName }),
      }),
    });
    const end = (fault: Fault) => {
      clearTimeout(timer);
      resolve(fault);
      asked.destroy();
    };
    const timer = setTimeout(() => end("timeout"), config.timeoutMs);
    asked.on("response", (answer) => {
      answer.resume();
      end(isWanted(answer.statusCode ?? 0, config.status) ? "none" : "status");
    });
    asked.on("error", (error) => end(faultOf(error)));
    asked.end();
  });
}
