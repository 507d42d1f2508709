/**
 * Forms as they come in: bounded, every field once, meant by the visitor himself.
 *
 * Pure but for reading the request. A page of another site can make a browser send a form; it can neither read the token
 * that belongs in it nor hide where it comes from.
 */
import { type Visitor } from "../session.ts";

/** A form that is refused, with the status to say it with. */
export class FormError extends Error {
  override readonly name = "FormError";

  constructor(readonly status: 400 | 403 | 413, message: string) {
    super(message);
  }
}

export interface Form {
  /** Without the token. */
  readonly fields: Readonly<Record<string, string>>;
  readonly files: Readonly<Record<string, File>>;
}

const FIELDS_MAX = 64;

/** @throws FormError; nothing has been done then */
export async function readForm(request: Request, visitor: Visitor | null, bytesMax: number): Promise<Form> {
  const site = request.headers.get("sec-fetch-site");
  if (site !== null && site !== "same-origin" && site !== "none") {
    throw new FormError(403, "This form was sent by a page of another site");
  }
  const type = request.headers.get("content-type") ?? "";
  if (!/^(application\/x-www-form-urlencoded|multipart\/form-data)\b/.test(type)) {
    throw new FormError(400, `"${type.slice(0, 80)}" is no form`);
  }
  const body = await bounded(request, bytesMax);
  const data = await new Response(body, { headers: { "content-type": type } }).formData().catch(() => {
    throw new FormError(400, "The form cannot be read");
  });
  const form = partsOf(data);
  const { csrf = "", ...fields } = form.fields;
  if (visitor !== null && visitor.csrf !== null && csrf !== visitor.csrf) {
    throw new FormError(
      403,
      "This form is not of your session any more: go back, load the page anew, and send it again",
    );
  }
  return { fields, files: form.files };
}

function partsOf(data: FormData): Form {
  const fields: Record<string, string> = {}, files: Record<string, File> = {};
  let count = 0;
  for (const [name, value] of data) {
    if (++count > FIELDS_MAX) throw new FormError(400, `A form has at most ${FIELDS_MAX} fields`);
    if (Object.hasOwn(fields, name) || Object.hasOwn(files, name)) {
      throw new FormError(400, `The field "${name.slice(0, 80)}" is given twice`);
    }
    // A browser sends line ends of its own kind.
    if (typeof value === "string") fields[name] = value.replaceAll("\r\n", "\n");
    else files[name] = value;
  }
  return { fields, files };
}

async function bounded(request: Request, bytesMax: number): Promise<Blob> {
  const chunks: Uint8Array<ArrayBuffer>[] = [];
  let bytes = 0;
  for await (const chunk of request.body ?? []) {
    bytes += chunk.length;
    if (bytes > bytesMax) throw new FormError(413, `That is larger than ${Math.floor(bytesMax / 1024)} KiB`);
    chunks.push(chunk);
  }
  return new Blob(chunks);
}
