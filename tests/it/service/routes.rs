//! Routes: what is described is there, with these methods and no others.

use super::world;
use crate::program::Workplace;

#[test]
fn the_description_names_the_methods_of_every_route() {
    let place = Workplace::new();
    let server = world::start(&place, "");
    let mut client = server.connect();
    let described = client.get("/openapi.json").expect(200, "openapi").json();
    let paths = described["paths"].as_object().unwrap();
    assert_eq!(paths.len(), 11);
    for (path, methods) in paths {
        let path = path.replace("{id}", "SUB-0").replace("{charge}", "calls");
        for method in ["get", "put", "post", "delete", "patch"] {
            let reply = client.send(&format!("{} {path}", method.to_uppercase()), "text/plain", "");
            if methods.get(method).is_some() {
                let status = reply.status.to_string();
                assert!(
                    methods[method]["responses"].get(&status).is_some(),
                    "{method} {path}: {status}"
                );
            } else {
                reply.expect(405, "does not take this method");
            }
        }
    }
    client.get("/v2/usage").expect(404, "nothing at this path");
    server.stop();
}

#[test]
fn references_of_the_description_lead_somewhere() {
    let text = include_str!("../../../src/service/openapi.json");
    let described: serde_json::Value = serde_json::from_str(text).unwrap();
    let mut references = 0;
    for line in text.split("\"$ref\": \"#").skip(1) {
        let pointer = line.split('"').next().unwrap();
        assert!(described.pointer(pointer).is_some(), "nothing at {pointer}");
        references += 1;
    }
    assert!(references > 20);
}
