/**
 * A stream of text cut into its lines, without their ends. Pure.
 *
 * A line that is longer than anybody writes is cut: what is held stays bounded.
 */
const LINE_CHARACTERS_MAX = 65_536;

export class TextLineStream extends TransformStream<string, string> {
  constructor() {
    let held = "";
    super({
      transform(chunk, controller) {
        const lines = (held + chunk).split(/\r?\n/);
        held = lines.pop()!;
        for (const line of lines) controller.enqueue(line);
        if (held.length < LINE_CHARACTERS_MAX) return;
        controller.enqueue(held);
        held = "";
      },
      flush(controller) {
        if (held !== "") controller.enqueue(held);
      },
    });
  }
}
