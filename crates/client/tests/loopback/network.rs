//! Failures of connections, encryption, and what a proxy gets to see.

use std::io::Read;
use std::net::TcpListener;
use std::process::Command;
use std::sync::{Arc, mpsc};
use std::time::Duration;

use conclave_client::native::{Native, NativeOptions};
use conclave_client::{Cancel, Endpoint, ErrorKind, Sampled, sample_candidates};

use crate::server::{Server, end, event, stream_text, write};
use crate::{KEY, kinds, request, sample, texts, transport};

#[test]
fn failures_of_the_network_have_names() {
    // A port that was free a moment ago.
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let (sampled, told) = sample(&format!("http://127.0.0.1:{port}/v1"), &request(3));
    assert_eq!(kinds(&sampled), [0, 1, 2].map(|index| (index, ErrorKind::Refused)), "{told}");
    assert!(told.contains("is the server running"), "{told}");

    let (sampled, told) = sample("https://nowhere.invalid/v1", &request(1));
    assert_eq!(kinds(&sampled), [(0, ErrorKind::UnknownHost)], "{told}");

    let (sampled, told) = sample("https://1.2.3.4.5/v1", &request(1));
    assert_eq!(kinds(&sampled), [(0, ErrorKind::Input)], "{told}");

    let plain = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = plain.local_addr().unwrap().port();
    std::thread::spawn(move || write(&mut plain.accept().unwrap().0, "HTTP/1.1 400 Bad Request\r\n\r\n"));
    let native =
        Native::new(NativeOptions { extra_roots: vec![CERTIFICATE.to_vec()], ..NativeOptions::default() });
    let (sampled, told) = sample_with(&native.unwrap(), &format!("https://127.0.0.1:{port}/v1"));
    assert_eq!(kinds(&sampled), [(0, ErrorKind::Tls)], "{told}");
}

/// A certificate of `localhost` and `127.0.0.1`, which only these tests trust, and its key.
const CERTIFICATE: &[u8] = include_bytes!("localhost.cert.der");
const CERTIFICATE_KEY: &[u8] = include_bytes!("localhost.key.der");

fn sample_with(native: &Native, base_url: &str) -> (Sampled, String) {
    let endpoint = Endpoint::new(base_url, None).unwrap();
    let cancel = Cancel::new();
    let sampled = native.block_on(sample_candidates(native, &endpoint, &request(1), &cancel, &mut |_| {}));
    let told = format!("{sampled:?}");
    (sampled, told)
}

/// Answers two connections over TLS.
fn tls_server() -> u16 {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let key = rustls::pki_types::PrivateKeyDer::try_from(CERTIFICATE_KEY).unwrap();
    let config = config.unwrap().with_no_client_auth().with_single_cert(vec![CERTIFICATE.into()], key);
    let config = Arc::new(config.unwrap());
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for stream in listener.incoming().take(2) {
            let connection = rustls::ServerConnection::new(Arc::clone(&config)).unwrap();
            let mut stream = rustls::StreamOwned::new(connection, stream.unwrap());
            let mut received = Vec::new();
            while !received.windows(6).any(|end| end == b"1 + 1?") {
                let mut bytes = [0; 1024];
                match std::io::Read::read(&mut stream, &mut bytes) {
                    Ok(read) if read > 0 => received.extend_from_slice(&bytes[..read]),
                    _ => break,
                }
            }
            // Closed without the goodbye of TLS, as many do.
            let answer = format!("HTTP/1.1 200 OK\r\n\r\n{}{}", event("over TLS"), end());
            let _ = std::io::Write::write_all(&mut stream, answer.as_bytes());
        }
    });
    port
}

#[test]
fn a_connection_is_encrypted_to_a_server_that_is_trusted() {
    let port = tls_server();
    let trusting = NativeOptions { extra_roots: vec![CERTIFICATE.to_vec()], ..NativeOptions::default() };
    let (sampled, told) =
        sample_with(&Native::new(trusting).unwrap(), &format!("https://localhost:{port}/v1"));
    assert_eq!(texts(&sampled), [(0, "over TLS")], "{told}");
    let (sampled, told) = sample_with(&transport(), &format!("https://127.0.0.1:{port}/v1"));
    assert_eq!(kinds(&sampled), [(0, ErrorKind::Tls)], "{told}");
}

#[test]
fn a_connection_may_take_so_long_and_no_longer() {
    // Connected by the system, and never answered.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = silent.local_addr().unwrap().port();
    let options = NativeOptions { connect_timeout: Duration::from_millis(100), ..NativeOptions::default() };
    let (sampled, told) =
        sample_with(&Native::new(options).unwrap(), &format!("https://127.0.0.1:{port}/v1"));
    assert_eq!(kinds(&sampled), [(0, ErrorKind::Timeout)], "{told}");
    assert!(told.contains("no connection to https://127.0.0.1"), "{told}");
}

#[test]
fn a_proxy_is_for_other_machines_alone() {
    if !is_again() {
        let proxy = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("http://me:hunter2@127.0.0.1:{}", proxy.local_addr().unwrap().port());
        let (tell, asked) = mpsc::channel();
        std::thread::spawn(move || {
            for stream in proxy.incoming() {
                let (mut stream, mut bytes) = (stream.unwrap(), [0; 1024]);
                let read = stream.read(&mut bytes).unwrap();
                tell.send(String::from_utf8_lossy(&bytes[..read]).into_owned()).unwrap();
                write(&mut stream, "HTTP/1.1 502 Bad Gateway\r\n\r\n");
            }
        });
        again("network::a_proxy_is_for_other_machines_alone", &[("ALL_PROXY", &address)]);
        let asked: Vec<String> = asked.try_iter().collect();
        assert!(matches!(&*asked, [one] if one.starts_with("CONNECT nowhere.invalid:443 ")), "{asked:?}");
        assert!(!asked[0].contains(KEY), "{asked:?}");
        return;
    }
    let server = Server::start(|_, _, stream| stream_text(stream, &["fine"]));
    let (sampled, told) = sample(&server.base_url(), &request(1));
    assert_eq!(texts(&sampled), [(0, "fine")], "{told}");
    let (sampled, told) = sample("https://nowhere.invalid/v1", &request(1));
    assert_eq!(kinds(&sampled), [(0, ErrorKind::Network)], "{told}");
    assert!(!told.contains("hunter2"), "{told}");
}

// Elsewhere the system has them, wherever these variables point.
#[cfg(target_os = "linux")]
#[test]
fn a_machine_without_certificates_can_do_without_encryption() {
    if !is_again() {
        let nowhere = [("SSL_CERT_FILE", "/nowhere"), ("SSL_CERT_DIR", "/nowhere")];
        return again("network::a_machine_without_certificates_can_do_without_encryption", &nowhere);
    }
    let server = Server::start(|_, _, stream| stream_text(stream, &["fine"]));
    let (sampled, told) = sample(&server.base_url(), &request(1));
    assert_eq!(texts(&sampled), [(0, "fine")], "{told}");
    let (sampled, told) = sample(&server.base_url().replace("http:", "https:"), &request(1));
    assert_eq!(kinds(&sampled), [(0, ErrorKind::Tls)], "{told}");
    assert!(told.contains("No CA certificates"), "{told}");
}

const AGAIN: &str = "CONCLAVE_TEST_AGAIN";

/// Whether this is the run that [`again`] started.
fn is_again() -> bool {
    std::env::var_os(AGAIN).is_some()
}

/// Runs one test in a process of its own, with these variables of the environment.
fn again(test: &str, variables: &[(&str, &str)]) {
    let mut command = Command::new(std::env::current_exe().unwrap());
    for name in
        ["http_proxy", "https_proxy", "all_proxy", "no_proxy", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY"]
    {
        command.env_remove(name);
    }
    let output = command.args(["--exact", test]).env(AGAIN, "1").envs(variables.iter().copied()).output();
    let output = output.unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && said.contains("1 passed"), "{said}");
}
