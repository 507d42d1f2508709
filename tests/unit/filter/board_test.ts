/** The reader of the board: fields by name, and a clear refusal of everything that is no board of this version. */
import assert from "node:assert/strict";
import { ABI_VERSION, Board, BoardVersionError } from "../../../filter/board.ts";
import { ROLE } from "../../../filter/names.ts";
import { FakeBoard } from "../../support/fake_board.ts";

Deno.test("Board reads and writes fields where the board says they are", () => {
  const fake = new FakeBoard();
  const board = fake.board;
  board.setNumber("live.path", 3);
  board.setNumber("port.rx_bytes", Number.MAX_SAFE_INTEGER, 5);
  board.setText("header.error", "Grüße");
  assert.equal(board.number("live.path"), 3);
  assert.equal(board.number("port.rx_bytes", 5), Number.MAX_SAFE_INTEGER);
  assert.equal(board.number("port.rx_bytes", 4), 0);
  assert.equal(board.text("header.error"), "Grüße");
  assert.equal(board.count("port.rx_bytes"), ROLE.length);
  assert.equal(board.offset("port.mtu", 2) - board.offset("port.mtu", 1), board.stride("port.mtu"));
  fake.set("header.boot", 5);
  assert.equal(board.big("header.boot"), 5n);
});

Deno.test("Board writes a shorter text without a rest of the longer one", () => {
  const { board } = new FakeBoard();
  board.setText("rule.name", "a long name of a rule", 1);
  board.setText("rule.name", "short", 1);
  assert.equal(board.text("rule.name", 1), "short");
  assert.deepEqual([...board.bytes("rule.name", 1)].slice(5), Array(27).fill(0));
});

Deno.test("Board hands out bytes as a copy", () => {
  const fake = new FakeBoard();
  fake.setBytes("port.mac", [1, 2, 3, 4, 5, 6, 0, 0], 0);
  const bytes = fake.board.bytes("port.mac", 0);
  fake.setBytes("port.mac", [9], 0);
  assert.deepEqual([...bytes], [1, 2, 3, 4, 5, 6, 0, 0]);
});

Deno.test("Board refuses another version with both versions in the message", () => {
  const fake = new FakeBoard();
  fake.head(4, ABI_VERSION + 1);
  assert.throws(() => fake.board, (error: Error) => {
    assert.ok(error instanceof BoardVersionError);
    assert.deepEqual([error.found, error.expected], [ABI_VERSION + 1, ABI_VERSION]);
    const both = `the plane writes version ${ABI_VERSION + 1}, this program reads version ${ABI_VERSION}`;
    assert.ok(error.message.startsWith(`Cannot read the board: ${both}`), error.message);
    return true;
  });
});

Deno.test("Board refuses memory that is none, of another size, or described in another way", () => {
  assert.throws(() => new Board(new ArrayBuffer(16)), /Cannot read the board: this memory is no board/);
  assert.throws(() => new Board(new ArrayBuffer(4096)), /Cannot read the board: this memory is no board/);
  const size = new FakeBoard();
  const bytes = size.memory.byteLength;
  size.head(8, bytes + 1);
  assert.throws(() => size.board, new RegExp(`it says ${bytes + 1} bytes, the file has ${bytes}`));
  const fields = new FakeBoard();
  fields.head(24, 48);
  assert.throws(() => fields.board, /a field takes 48 bytes, not 56/);
});

Deno.test("Board names the field or the element that is not there", () => {
  const { board } = new FakeBoard();
  assert.throws(() => board.number("live.nothing"), /Cannot read the board: it has no field "live.nothing"/);
  assert.throws(() => board.number("port.mtu", 10), /Cannot read port.mtu\[10\]: it has 10 elements/);
  assert.throws(() => board.number("port.mtu", -1), /Cannot read port.mtu\[-1\]/);
  assert.throws(() => board.number("port.driver"), /Cannot read port.driver: it is no number/);
});

Deno.test("Board refuses a value that does not fit its field", () => {
  const { board } = new FakeBoard();
  for (const value of [-1, 2 ** 32, 1.5, NaN]) {
    assert.throws(
      () => board.setNumber("live.path", value),
      /Cannot write live.path: .* does not fit 4 bytes/,
    );
  }
  assert.throws(() => board.setNumber("port.driver", 1), /Cannot write port.driver: it is no word/);
  const long = "x".repeat(32);
  assert.throws(
    () => board.setText("rule.name", long),
    /Cannot write rule.name: "x+" is longer than 31 bytes/,
  );
});
