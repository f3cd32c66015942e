"""SoapySDR: one driver for every radio that has a Soapy module, such as HackRF, LimeSDR, BladeRF and USRP."""
