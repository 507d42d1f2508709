/**
 * The one table of routes.
 *
 * Dispatch (api.ts), validation, the OpenAPI document and the tests of security are derived from it: a route stands
 * here once, or it does not exist. To add one, write it into a file of its own kind (routes_*.ts) as a value; nothing else
 * has to know of it.
 */
import { VERSION } from "../appliance/version.ts";
import { openApi } from "./openapi.ts";
import { gives, OBJECT, type Route, TEXT } from "./route.ts";
import { ACCESS_ROUTES } from "./routes_access.ts";
import { CAPTURE_ROUTES } from "./routes_capture.ts";
import { CONFIG_ROUTES } from "./routes_config.ts";
import { LAYER_ROUTES } from "./routes_layer.ts";
import { HEALTH_ROUTES, VIEW_ROUTES } from "./routes_node.ts";
import { ORDER_ROUTES } from "./routes_orders.ts";
import { RESET_ROUTES } from "./routes_reset.ts";
import { STATE_ROUTES } from "./routes_state.ts";
import { SUPPORT_ROUTES } from "./routes_support.ts";
import { STREAM_ROUTES } from "./routes_streams.ts";
import { UPDATE_ROUTES } from "./routes_update.ts";

const DOCUMENT: Route = {
  method: "GET",
  path: "/api/v1/openapi.json",
  name: "openapi",
  summary: "This document",
  role: "viewer",
  answers: gives("OpenAPI 3.1.", { openapi: TEXT, info: OBJECT, paths: OBJECT }),
  work: () => openApi(ROUTES, VERSION),
};

export const ROUTES: readonly Route[] = [
  ...HEALTH_ROUTES,
  ...VIEW_ROUTES,
  ...CAPTURE_ROUTES,
  ...ORDER_ROUTES,
  ...CONFIG_ROUTES,
  ...RESET_ROUTES,
  ...LAYER_ROUTES,
  ...ACCESS_ROUTES,
  ...STATE_ROUTES,
  ...STREAM_ROUTES,
  ...SUPPORT_ROUTES,
  ...UPDATE_ROUTES,
  DOCUMENT,
];
